"""Data sets as jobs: the real ones checked before a GPU is asked for, the synthetic ones rendered.

So what a number was made from stands in the graph, and version, seed and size of a stand-in enter every id on it.
"""

from functools import partial
from typing import Any

import torch.distributed as dist

from caebench.datasets.errors import DataError
from caebench.datasets.synthetic.world import num_pictures, render
from caebench.files.atomic import remove, replacing
from caebench.files.layout import WORLD
from caebench.specs.inputs.dataset import OwnData, RealData, SyntheticData
from caebench.training.run import Run
from caebench.training.signals import watch_signals

ASK_EVERY = 10  # pictures


def check_data(config: RealData | OwnData, run: Run) -> dict[str, Any]:
    """Compare layout, lists and counts with what is published or was planned; unpack what is packed.

    Images are opened by `caebench data check`, and here where each has a mask or objects that a user made.

    Raises:
        DataError: something is missing or wrong; `caebench data check` lists everything.
    """
    dataset, roots = config.dataset, config.roots(run.site.roots, run.inputs)
    progress = partial(_checked, run)
    report = dataset.check(roots, config.size, decode=dataset.is_decoded_first, progress=progress)
    for problem in report.problems:
        raise problem
    planned = config.contents if isinstance(config, OwnData) else config.subset
    if planned is not None and report.fingerprint != planned.fingerprint:
        what = f"lists with fingerprint {report.fingerprint}, and the plan was made with {planned.fingerprint}"
        raise DataError(report.root, what, "Run the suite again: the changed folder is another data set.")
    if dataset.is_packed:
        _unpack(config, run)
    else:
        for split in dataset.own:
            run.open(config, split)
    return {f"num_{split}": count for split, count in report.counts.items()}


def _checked(run: Run, done: int, total: int) -> None:
    """Another image was opened."""
    run.progress(done, total, {})


def _unpack(config: RealData | OwnData, run: Run) -> None:
    """Write the images into the job's folder, and note what is there; after a stop it starts over.

    Raises:
        DataError: an image is missing or of a kind that training does not read.
        Interrupted: a signal asked for a stop.
    """
    folder = run.folder / WORLD
    with watch_signals(run.stop):
        if run.group.is_main:
            remove(folder)
            with replacing(folder) as new:
                root = run.site.roots[config.name]
                config.dataset.unpack(root, new / config.name, partial(_unpacked, run))
        else:  # waits, and asks with the others whether to stop
            total = config.size.train + config.size.val
            for done in range(1, total + 1):
                _unpacked(run, done, total)
        dist.barrier()
    for split in config.dataset.own:
        found = config.dataset.read({config.name: folder / config.name}, split, config.size)
        run.fingerprints[f"{config.name}/{split}"] = found.fingerprint


def _unpacked(run: Run, done: int, total: int) -> None:
    """Another image is there."""
    run.progress(done, total, {})
    if done % ASK_EVERY == 0:
        run.stop_if_asked("while images were unpacked; it starts over")


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
