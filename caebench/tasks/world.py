"""Rendering the embedded data, as a job of its own: so version, seed and size enter every id that rests on them."""

from typing import Any

import torch.distributed as dist

from caebench.config.data import World
from caebench.data.datasets import WORLD
from caebench.data.world import render
from caebench.training.run import Run


def render_world(config: World, run: Run) -> dict[str, Any]:
    """Render into the job's folder."""
    if run.group.is_main:
        render(config, run.folder / WORLD, lambda done, total: run.progress(done, total, {}))
    dist.barrier()
    return {"num_train": config.num_train, "num_val": config.num_val}
