"""Parameters, gradients and optimizer state sharded over the processes (FSDP2), for encoders that fill a device.

Files always have the full state, so a job can resume sharded or not, on any number of processes.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.utils._pytree import tree_map

from caebench.training.distributed import Group


def shard(module: nn.Module, blocks: Iterable[nn.Module], group: Group) -> None:
    """Shard a module over the processes, block by block; only its own `forward` gathers the parameters.

    This replaces its parameters, so make the optimizer's groups afterwards.
    """
    module.to(group.device)
    mesh = init_device_mesh(group.device.type, (group.size,))
    for block in blocks:
        fully_shard(block, mesh=mesh)
    fully_shard(module, mesh=mesh)


def is_sharded(module: nn.Module) -> bool:
    """Whether the module was sharded."""
    return isinstance(module, FSDPModule)


def full_state(state: Any, *, keep: bool) -> Any:
    """Nested containers with every sharded tensor gathered, one by one; every process must take part.

    A gathered tensor is moved to the host if `keep` is set, and is None otherwise.
    """

    def gather(value: Any) -> Any:
        if not isinstance(value, DTensor):
            return value
        full = value.full_tensor()
        return full.cpu() if keep else None

    return tree_map(gather, state)


def shard_like(value: Tensor, like: Tensor) -> Tensor:
    """This process's shard of a full tensor, sharded as `like` is; the full tensor if `like` is not sharded."""
    if not isinstance(like, DTensor):
        return value
    value = value.to(like.device)
    return distribute_tensor(value, like.device_mesh, like.placements, src_data_rank=None)  # every process has read it


def shard_state(state: Mapping[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """A full state, sharded as the module's."""
    own = module.state_dict()
    return {name: shard_like(value, own[name]) for name, value in state.items()}


def shard_optimizer_state(state: dict[str, Any], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """A full state of the optimizer, sharded as its parameters are."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]

    def shard_one(values: Mapping[str, Any], parameter: Tensor) -> dict[str, Any]:
        """Moments have the parameter's shape; the number of steps has none."""
        return {
            name: shard_like(value, parameter)
            if isinstance(value, Tensor) and value.shape == parameter.shape
            else value
            for name, value in values.items()
        }

    return {**state, "state": {i: shard_one(values, parameters[i]) for i, values in state["state"].items()}}
