"""The process group. It always exists: one process on a laptop, many under torchrun or a scheduler."""

import os
import time
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class Group:
    """This process's rank, the number of processes, and its device."""

    rank: int
    size: int
    device: torch.device

    @property
    def backend(self) -> str:
        """How the processes communicate: nccl or gloo."""
        return dist.get_backend()

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and prints."""
        return self.rank == 0

    def mean(self, values: Tensor) -> Tensor:
        """The mean over processes."""
        return self.sum(values) / self.size

    def sum(self, values: Tensor) -> Tensor:
        """The sum over processes."""
        values = values.clone()
        dist.all_reduce(values)
        return values

    def any(self, flags: list[bool]) -> list[bool]:
        """For each flag, whether any process has raised it. A single process does not wait for its device."""
        if self.size == 1:
            return list(flags)
        total = self.sum(torch.tensor(flags, dtype=torch.float32, device=self.device))
        return [bool(value > 0) for value in total]

    def of_first(self, number: int) -> int:
        """The first process's number."""
        return (
            int(self.sum(torch.tensor(number if self.is_main else 0, device=self.device))) if self.size > 1 else number
        )

    def speed(self, megabytes: int = 64) -> float:
        """Gigabytes per second that an all-reduce sums; the best of a few."""
        values = torch.ones(megabytes * 2**18, device=self.device)
        best = float("inf")
        for _ in range(5):
            self.any([True])  # a barrier: all processes are here and the devices are idle
            started = time.monotonic()
            float(self.sum(values)[0])  # waits for the device
            best = min(best, time.monotonic() - started)
        return round(megabytes / 1e3 / best, 2)

    def gather(self, values: Tensor) -> Tensor:
        """The rows of all processes, in the order of the rank-strided split."""
        parts = [torch.empty_like(values) for _ in range(self.size)]
        dist.all_gather(parts, values.contiguous())
        return torch.stack(parts, dim=1).flatten(0, 1)


def join_group(device: str) -> Group:
    """Join the group of the environment (RANK, WORLD_SIZE, LOCAL_RANK, MASTER_*), or make one with a single process."""
    kind = "cuda" if device == "cuda" or (device == "auto" and torch.cuda.is_available()) else "cpu"
    place = torch.device(kind, int(os.environ.get("LOCAL_RANK", "0"))) if kind == "cuda" else torch.device("cpu")
    if kind == "cuda":
        torch.cuda.set_device(place)
    if not dist.is_initialized():
        backend = "nccl" if kind == "cuda" else "gloo"
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            dist.init_process_group(backend)
        else:
            store = dist.HashStore()  # pyright: ignore[reportPrivateImportUsage] torch documents it, unexported
            dist.init_process_group(backend, store=store, rank=0, world_size=1)
    return Group(dist.get_rank(), dist.get_world_size(), place)


def device_name(device: torch.device) -> str:
    """The device's name, for the record."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} of {os.cpu_count()} cores"
