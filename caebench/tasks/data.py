"""Data sets as jobs: the real ones checked before a GPU is asked for, the synthetic ones rendered.

So what a number was made from stands in the graph, and version, seed and size of a stand-in enter every id on it.
"""

from functools import partial
from typing import Any

import torch.distributed as dist

from caebench.datasets.errors import DataError
from caebench.datasets.synthetic.world import num_pictures, render
from caebench.files.layout import WORLD
from caebench.specs.inputs.dataset import OwnData, RealData, SyntheticData
from caebench.training.run import Run
from caebench.training.signals import watch_signals

ASK_EVERY = 10  # pictures


def check_data(config: RealData | OwnData, run: Run) -> dict[str, Any]:
    """Compare layout, lists and counts with what is published or was planned; `caebench data check` alone opens images.

    Raises:
        DataError: something is missing or wrong; `caebench data check` lists everything.
    """
    report = config.dataset.check(config.roots(run.site.roots, run.inputs), config.size, decode=False)
    for problem in report.problems:
        raise problem
    planned = config.contents if isinstance(config, OwnData) else config.subset
    if planned is not None and report.fingerprint != planned.fingerprint:
        what = f"lists with fingerprint {report.fingerprint}, and the plan was made with {planned.fingerprint}"
        raise DataError(report.root, what, "Run the suite again: the changed folder is another data set.")
    for split in config.dataset.own:
        run.open(config, split)
    return {f"num_{split}": count for split, count in report.counts.items()}


def render_data(config: SyntheticData, run: Run) -> dict[str, Any]:
    """Render into the job's folder; after a stop it starts over, and ends in the same files.

    Raises:
        Interrupted: a signal asked for a stop.
    """
    amounts = config.world.amounts(config.layouts)
    with watch_signals(run.stop):
        if run.group.is_main:
            render(amounts, run.folder / WORLD, partial(_rendered, run))
        else:  # waits, and asks with the others whether to stop
            total = num_pictures(amounts)
            for done in range(1, total + 1):
                _rendered(run, done, total)
        dist.barrier()
    size = config.size
    return {"num_train": size.train, "num_val": size.val}


def _rendered(run: Run, done: int, total: int) -> None:
    """Another picture is there."""
    run.progress(done, total, {})
    if done % ASK_EVERY == 0:
        run.stop_if_asked("while pictures were rendered; it starts over")
