"""Devices, seen without importing torch."""

import subprocess


def count_gpus() -> int:
    """NVIDIA GPUs that the driver lists; 0 without a driver."""
    return len(gpu_names())


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
