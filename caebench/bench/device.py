"""The device of a measurement. torch is imported only when a device is requested."""

import platform
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

CPUINFO = Path("/proc/cpuinfo")


def find_device(wanted: str) -> "torch.device":
    """The device of a process group with a single process.

    Raises:
        ValueError: there is no such device.
    """
    import torch

    from caebench.training.distributed import join_group

    if wanted == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: PyTorch finds no GPU here. Check with `caebench doctor`, or use cpu.")
    return join_group(wanted).device


def one_thread() -> None:
    """Use one thread from now on, as a loader's process does."""
    import torch

    torch.set_num_threads(1)


def device_name(device: "torch.device") -> str:
    """The GPU's name, or `CPU` with its model and the number of threads, so that they cannot be confused."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_name(torch.get_num_threads())


def cpu_name(threads: int) -> str:
    """The CPU's model and the number of threads."""
    return f"CPU, {_model()}, {threads} thread{'s' if threads > 1 else ''}"


def _model() -> str:
    if CPUINFO.exists():
        for line in CPUINFO.read_text(encoding="utf8").splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    return platform.processor() or platform.machine()
