"""Devices, seen without importing torch."""

import os
import subprocess

MASK = "CUDA_VISIBLE_DEVICES"


def visible_gpus() -> list[str]:
    """What the mask names, or else the numbers of the NVIDIA GPUs that the driver lists; none without a driver."""
    if (mask := os.environ.get(MASK)) is not None:
        return [name.strip() for name in mask.split(",") if name.strip()]
    return [str(number) for number in range(len(gpu_names()))]


def gpu_names() -> list[str]:
    """What the driver calls them."""
    try:
        run = subprocess.run(
            ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in run.stdout.splitlines() if line.strip()]
