"""Where the processes of a SLURM job meet: a port on its first node, named in the environment that torch reads."""

import os
import random

PORTS = range(10_000, 32_000)  # Linux gives 32768 and up to outgoing connections: none of a daemon's can be in the way


def export(slurm_id: str) -> None:
    """Put this process's place in its job into the environment; GPU masks stay as SLURM has set them."""
    from submitit.helpers import TorchDistributedEnvironment

    environment = TorchDistributedEnvironment()
    environment.master_port = port(slurm_id, os.environ.get("SLURM_RESTART_COUNT", "0"))
    environment.export(set_cuda_visible_devices=False, overwrite=True)  # over what the submitter's shell has passed on


def port(slurm_id: str, restart: str) -> int:
    """The same in every process of a slice, another in the next slice: a port that is taken stops one at most."""
    return random.Random(f"{slurm_id} {restart}").choice(PORTS)
