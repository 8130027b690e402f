"""Training checkpoints: written atomically, the last two kept; a damaged newest one is skipped with a warning."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from caebench.checkpoints.encoder_file import misfits
from caebench.files.atomic import listed, replacing
from caebench.files.layout import CHECKPOINTS
from caebench.training.run import log

KEPT = 2


def write(folder: Path, step: int, state: dict[str, Any]) -> None:
    """Write the state after `step` steps, and delete all but the last two.

    Raises:
        OSError: it cannot be written.
    """
    target = folder / CHECKPOINTS / f"{step:09d}.pt"
    target.parent.mkdir(exist_ok=True)
    try:
        with replacing(target) as partial, partial.open("wb") as file:
            torch.save(state, file)
    except PermissionError:
        raise
    except (OSError, RuntimeError) as error:  # on a full disk torch raises a RuntimeError that names neither
        raise OSError(f"{target}: cannot be written ({error}). Is the disk full? Make room, and run again.") from error
    for old in sorted(target.parent.glob("*.pt"))[:-KEPT]:
        old.unlink()


def read_newest(folder: Path, device: torch.device) -> dict[str, Any] | None:
    """The newest readable checkpoint; None if there is no checkpoint.

    Raises:
        ValueError: there are checkpoints, but none can be read.
        PermissionError: this user may not read one, or their folder.
    """
    paths = [path for path in reversed(listed(folder / CHECKPOINTS)) if path.suffix == ".pt"]
    for path in paths:
        try:
            return torch.load(path, map_location=device, weights_only=True)
        except PermissionError:
            raise
        except Exception as error:  # a truncated or foreign file raises one of many types
            log.warning("%s: cannot be read (%s); trying the one before", path, error)
    if paths:
        raise ValueError(f"{paths[0].parent}: no checkpoint can be read. Delete the job's folder to start again.")
    return None


def check_same_model(folder: Path, module: nn.Module, saved: Mapping[str, Tensor]) -> None:
    """Check that a checkpoint's tensors are the model's.

    Raises:
        ValueError: some are missing, left over or of another shape.
    """
    if wrong := misfits(module.state_dict(), saved):
        raise ValueError(
            f"{folder / CHECKPOINTS}: a checkpoint of another model: {'; '.join(wrong[:5])}. "
            "Delete the job's folder to start again."
        )
