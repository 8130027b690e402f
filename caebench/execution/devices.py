"""Devices, found without importing torch."""

import os
import subprocess  # nosec B404 # lists of arguments, never a shell
from pathlib import Path

from caebench.files.memory import usable_memory

MEMORY_OF_A_JOB = 2_000_000_000  # bytes to count on for a nano job, with its loaders
MASK = "CUDA_VISIBLE_DEVICES"
DRIVERS = (Path("/proc/driver/nvidia"), Path("/dev/kfd"))  # there with a driver, whether or not its tools are


def visible_gpus() -> list[str]:
    """The GPUs in the mask, or else the indices of the NVIDIA GPUs that the driver lists; none without a driver."""
    if (mask := os.environ.get(MASK)) is not None:
        return [name.strip() for name in mask.split(",") if name.strip()]
    return [str(number) for number in range(len(gpu_names()))]


def default_parallel(device: str) -> int:
    """One job per GPU; or one per core and as many as have memory, at most four, since nano jobs cannot use more."""
    if device != "cpu" and (gpus := visible_gpus()):
        return len(gpus)
    return max(1, min(4, os.cpu_count() or 1, usable_memory() // MEMORY_OF_A_JOB))


def why_no_gpu() -> str | None:
    """Why a job could not have a GPU here; None if it perhaps can."""
    if (mask := os.environ.get(MASK)) is not None and not visible_gpus():
        return f"{MASK}={mask!r} hides all GPUs"
    if not visible_gpus() and not any(path.exists() for path in DRIVERS):
        return "this machine has no GPU, or no driver for it"
    return None


def gpu_names() -> list[str]:
    """The driver's names of the GPUs."""
    try:
        run = subprocess.run(  # nosec B603 B607 # fixed words; the driver puts the program where PATH says
            ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in run.stdout.splitlines() if line.strip()]
