"""Training checkpoints: written atomically, with a checksum, the last two kept; a damaged one is never used."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from caebench.checkpoints.encoder_file import misfits
from caebench.files.atomic import listed, replacing
from caebench.files.layout import CHECKPOINTS, DAMAGED, checkpoint_file
from caebench.training.distributed import Group
from caebench.training.run import log
from caebench.training.seal import require_intact, seal

KEPT = 2


def write(folder: Path, step: int, state: dict[str, Any]) -> None:
    """Write the state after `step` steps, and delete all but the last two.

    Raises:
        OSError: it cannot be written.
    """
    target = checkpoint_file(folder, step)
    target.parent.mkdir(exist_ok=True)
    save(target, state, seal)
    for old in sorted(target.parent.glob("*.pt"))[:-KEPT]:
        old.unlink()


def save(target: Path, state: Mapping[str, Any], sealed: Callable[[Path], None] = lambda _: None) -> None:
    """Write tensors with `torch.save`.

    Raises:
        OSError: the file cannot be written; the error names it and the likely cause.
    """
    try:
        with replacing(target) as partial:
            with partial.open("wb") as file:  # given a path, torch writes its name into the file
                torch.save(state, file)
            sealed(partial)
    except PermissionError:
        raise
    except (OSError, RuntimeError) as error:  # on a full disk torch raises a RuntimeError that names neither
        said = getattr(error, "strerror", None) or error
        raise OSError(f"{target}: cannot be written ({said}). Is the disk full? Make room, and run again.") from error


def read_newest(folder: Path, group: Group) -> dict[str, Any] | None:
    """The newest checkpoint that every process can read; None if there is no checkpoint. All must call this.

    Raises:
        ValueError: there are checkpoints, but none can be read.
        PermissionError: this user may not read one, or their folder.
    """
    steps = [int(path.stem) for path in reversed(listed(folder / CHECKPOINTS)) if path.suffix == ".pt"]
    count = group.of_first(len(steps))  # another node may see an older folder
    steps = [group.of_first(steps[i] if i < len(steps) else 0) for i in range(count)]
    for number, step in enumerate(steps):
        saved, error = _read(checkpoint_file(folder, step), group.device)
        is_wrong, is_denied = group.any([error is not None, isinstance(error, PermissionError)])
        if is_denied:
            raise error or PermissionError(f"{folder / CHECKPOINTS}: another process may not read it")
        if not is_wrong:
            if group.is_main:
                _set_aside(folder, steps[:number])
            return saved
        log.warning("%s; trying the one before", error or f"{folder}: another process cannot read step {step}")
    if steps:
        raise ValueError(f"{folder / CHECKPOINTS}: no checkpoint can be read. Delete the job's folder to start again.")
    return None


def _read(path: Path, device: torch.device) -> tuple[dict[str, Any] | None, Exception | None]:
    """A checkpoint, or what is wrong with it."""
    try:
        require_intact(path)
        return torch.load(path, map_location=device, weights_only=True), None
    except PermissionError as error:
        return None, error
    except Exception as error:  # a truncated or foreign file raises one of many types
        return None, ValueError(f"{path}: cannot be read ({error})")


def _set_aside(folder: Path, steps: list[int]) -> None:
    """Keep damaged checkpoints from being tried again, once the training has gone on from an earlier one."""
    for step in steps:
        path = checkpoint_file(folder, step)
        path.rename(path.with_name(path.name + DAMAGED))


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
