"""What a step holds and what it needs on top, at its peak."""

import ctypes
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def held_bytes(tensors: Iterable[Tensor]) -> int:
    """Bytes of tensors, shared storage once."""
    return sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}.values())


def peak_bytes(thing: Callable[[], object], device: torch.device) -> int | None:
    """What the device held at most while something ran, above what it held before; None where nobody counts it.

    On a GPU what PyTorch's allocator gave out; on Linux resident memory, after giving back what was free.
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
