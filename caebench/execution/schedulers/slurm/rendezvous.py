"""The rendezvous of a SLURM job's processes: a port on its first node, in the environment variables of torch."""

import os
import random

PORTS = range(10_000, 32_000)  # Linux uses ports from 32768 for outgoing connections, which could be in the way


def export(slurm_id: str) -> None:
    """Export this process's rank and rendezvous to the environment; GPU masks stay as SLURM has set them."""
    from submitit.helpers import TorchDistributedEnvironment

    environment = TorchDistributedEnvironment()
    environment.master_port = port(slurm_id, os.environ.get("SLURM_RESTART_COUNT", "0"))
    environment.export(set_cuda_visible_devices=False, overwrite=True)  # replaces variables of the submitter's shell


def port(slurm_id: str, restart: str) -> int:
    """The same in every process of a slice, and different in the next slice, so a used port stops one slice at most."""
    return random.Random(f"{slurm_id} {restart}").choice(PORTS)  # nosec B311 # no secret: every process must draw the same
