"""Training checkpoints: written all or nothing, the last two kept, a damaged newest one passed over with a word."""

import os
from pathlib import Path
from typing import Any

import torch

from caebench.training.run import log

FOLDER = "checkpoints"
KEPT = 2


def write(folder: Path, step: int, state: dict[str, Any]) -> None:
    """Write the state after `step` steps, and drop all but the last two.

    Raises:
        OSError: the disk does not take it.
    """
    target = folder / FOLDER / f"{step:09d}.pt"
    target.parent.mkdir(exist_ok=True)
    partial = target.with_suffix(".partial")
    try:
        with partial.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
    except (OSError, RuntimeError) as error:  # torch makes of a full disk a RuntimeError that names neither
        partial.unlink(missing_ok=True)
        raise OSError(f"{target}: cannot be written ({error}). Is the disk full? Make room, and run again.") from error
    partial.replace(target)
    for old in sorted(target.parent.glob("*.pt"))[:-KEPT]:
        old.unlink()


def read_newest(folder: Path, device: torch.device) -> dict[str, Any] | None:
    """The newest checkpoint that can be read; None where there is none.

    Raises:
        ValueError: there are checkpoints, and none can be read.
    """
    paths = sorted((folder / FOLDER).glob("*.pt"), reverse=True)
    for path in paths:
        try:
            return torch.load(path, map_location=device, weights_only=True)
        except Exception as error:  # a truncated or foreign file raises one of many types
            log.warning("%s: cannot be read (%s); trying the one before", path, error)
    if paths:
        raise ValueError(f"{paths[0].parent}: no checkpoint can be read. Delete the job's folder to start it afresh.")
    return None
