"""Data sets as jobs: the real ones checked before a GPU is asked for, the embedded ones rendered.

So what a number was made from stands in the graph, and version, seed and size of a stand-in enter every id on it.
"""

from typing import Any

import torch.distributed as dist

from caebench.config.data import EmbeddedData, RealData, size_of
from caebench.data.check import SPLITS, check
from caebench.data.datasets import WORLD, find_root
from caebench.data.errors import DataError
from caebench.data.world import render
from caebench.training.run import Run


def check_data(config: RealData, run: Run) -> dict[str, Any]:
    """Compare layout, lists and counts with what is published; images are opened by `caebench data check` alone.

    Raises:
        DataError: something is missing or wrong; `caebench data check` lists everything.
    """
    report = check(config.name, find_root(config, run.site.data, None), decode=False)
    for problem in report.problems:
        raise DataError(problem.where, problem.what, problem.do)
    _note_splits(config, run)
    return {f"num_{split}": report.counts[split] for split in SPLITS}


def render_data(config: EmbeddedData, run: Run) -> dict[str, Any]:
    """Render into the job's folder."""
    if run.group.is_main:
        root = run.folder / WORLD
        render(config.world, root, lambda done, total: run.progress(done, total, {}), config.layouts)
    dist.barrier()
    size = size_of(config)
    return {"num_train": size.train, "num_val": size.val}


def _note_splits(config: RealData, run: Run) -> None:
    for split in SPLITS:
        if config.name in ("ade20k", "coco"):
            run.open_scenes(config, split)
        else:
            run.open_split(config, split)
