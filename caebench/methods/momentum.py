"""Shared by methods with a momentum branch: a copy updated by a moving average, and rows gathered over processes."""

import copy
from typing import TypeVar

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn

Branch = TypeVar("Branch", bound=nn.Module)


def frozen_copy(module: Branch) -> Branch:
    """An equal copy without gradient."""
    return copy.deepcopy(module).requires_grad_(False)


@torch.no_grad()
def follow(copied: nn.Module, module: nn.Module, momentum: float) -> None:
    """Every parameter of the copy becomes momentum * itself + (1 - momentum) * the module's."""
    for ours, theirs in zip(copied.parameters(), module.parameters(), strict=True):
        ours.mul_(momentum).add_(theirs, alpha=1.0 - momentum)


@torch.no_grad()
def gather_rows(rows: Float[Tensor, "batch dim"]) -> Float[Tensor, "all_batches dim"]:
    """The rows of all processes, which have equally many, in the order of processes; without gradient."""
    parts = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, rows.contiguous())
    return torch.cat(parts)
