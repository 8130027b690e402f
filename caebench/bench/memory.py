"""The memory of a step: its state, and its peak above that."""

import ctypes
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def bytes_of(tensors: Iterable[Tensor]) -> int:
    """Bytes of tensors, counting shared storage once."""
    return sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}.values())


def peak_bytes(thing: Callable[[], object], device: torch.device) -> int | None:
    """Peak memory while something runs, above that before; None if it cannot be measured.

    On a GPU it is the memory of PyTorch's allocator; on Linux resident memory, after free memory was returned.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        thing()
        return torch.cuda.max_memory_allocated(device) - before
    try:
        ctypes.CDLL(None).malloc_trim(0)
        RESET.write_text("5", encoding="ascii")  # proc(5): resets the peak
    except (OSError, AttributeError):
        return None
    before = _resident("VmRSS")
    thing()
    return _resident("VmHWM") - before


def _resident(field: str) -> int:
    line = next(line for line in STATUS.read_text(encoding="ascii").splitlines() if line.startswith(field))
    return 1024 * int(line.split()[1])
