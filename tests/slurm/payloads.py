"""What the jobs of the cluster's own tests run; a module of its own, as submitit's jobs import it by name."""

import os
import time
from pathlib import Path

from submitit.helpers import DelayedSubmission

import caebench.execution.schedulers.slurm.payload as payload
from caebench.execution.schedulers.slurm.payload import Payload


def add(left: int, right: int) -> int:
    return left + right


class Interrupted:
    """Works until it has been interrupted once, and goes on from its checkpoint."""

    def __init__(self, num_interruptions: int = 0) -> None:
        self.num_interruptions = num_interruptions

    def __call__(self, started: Path) -> tuple[str, int]:
        """Its job's id, and how often it was interrupted."""
        (started / str(self.num_interruptions)).touch()
        end = time.monotonic() + 120
        while self.num_interruptions == 0:
            assert time.monotonic() < end, "nothing has interrupted this job"
            time.sleep(0.1)
        return os.environ["SLURM_JOB_ID"], self.num_interruptions

    def checkpoint(self, started: Path) -> DelayedSubmission:
        return DelayedSubmission(Interrupted(self.num_interruptions + 1), started)


class Masked(Payload):
    """A job of caebench's that trains nothing: it waits for its neighbours, and tells which GPUs it was left."""

    neighbours: tuple[Path, ...] = ()

    def __call__(self) -> str:
        payload.run_jobs = self.meet
        super().__call__()
        return os.environ["CUDA_VISIBLE_DEVICES"]

    def meet(self, *_: object, **__: object) -> dict[Path, str]:
        (self.folders[0] / "started").touch()
        end = time.monotonic() + 120
        while not all((folder / "started").exists() for folder in self.neighbours):
            assert time.monotonic() < end, "the neighbours have not started"
            time.sleep(0.1)
        return {self.folders[0]: "done"}
