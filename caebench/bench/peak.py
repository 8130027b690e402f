"""The peak: the fastest matrix product that this device computes now."""

import time

import torch

from caebench.bench.timing import wait

SIZES = {"cpu": (1024, 2048), "cuda": (4096, 8192, 16384)}
SECONDS = {"cpu": 1.0, "cuda": 0.3}  # of each size
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def measure_peak(device: torch.device, precision: str) -> float:
    """FLOP/s of the best square product in this precision."""
    sizes = SIZES[device.type]
    return max(_rate(device, DTYPES[precision], size, SECONDS[device.type]) for size in sizes)


@torch.no_grad()
def _rate(device: torch.device, dtype: torch.dtype, size: int, seconds: float) -> float:
    """The best of several products, or on a GPU of several runs of ten products."""
    one, two = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    out, runs = torch.empty_like(one), 10 if device.type == "cuda" else 1
    torch.mm(one, two, out=out)
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end or best == float("inf"):
        wait(device)
        started = time.perf_counter()
        for _ in range(runs):
            torch.mm(one, two, out=out)
        wait(device)
        best = min(best, (time.perf_counter() - started) / runs)
    return 2.0 * size**3 / best
