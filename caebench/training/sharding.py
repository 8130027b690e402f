"""Parameters, gradients and the optimizer's state in shares, one a process (FSDP2): for encoders that crowd a device.

Files do not know of it: what is saved is whole, so a job may go on sharded or not, on any number of processes.
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
    """Part a module over the processes, block by block; only its own `forward` puts it together.

    Its parameters are others afterwards: make groups for the optimizer of these.
    """
    module.to(group.device)
    mesh = init_device_mesh(group.device.type, (group.size,))
    for block in blocks:
        fully_shard(block, mesh=mesh)
    fully_shard(module, mesh=mesh)


def is_sharded(module: nn.Module) -> bool:
    """Whether `shard` was there."""
    return isinstance(module, FSDPModule)


def whole(state: Any, *, keep: bool) -> Any:
    """Nested containers with every share put together, tensor by tensor: every process must take part.

    What was in shares is moved to the host, and only where it is to be kept; elsewhere it is None.
    """

    def put_together(value: Any) -> Any:
        if not isinstance(value, DTensor):
            return value
        full = value.full_tensor()
        return full.cpu() if keep else None

    return tree_map(put_together, state)


def share(value: Tensor, like: Tensor) -> Tensor:
    """This process's share of a tensor, parted as `like` is; all of it where `like` is not parted."""
    if not isinstance(like, DTensor):
        return value
    value = value.to(like.device)
    return distribute_tensor(value, like.device_mesh, like.placements, src_data_rank=None)  # every process has read it


def share_state(state: Mapping[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """A whole state, parted as the module's."""
    own = module.state_dict()
    return {name: share(value, own[name]) for name, value in state.items()}


def share_optimizer_state(state: dict[str, Any], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """A whole state of the optimizer, parted as its parameters are."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]

    def share_one(values: Mapping[str, Any], parameter: Tensor) -> dict[str, Any]:
        """Moments have the parameter's shape; the number of steps has none."""
        return {
            name: share(value, parameter) if isinstance(value, Tensor) and value.shape == parameter.shape else value
            for name, value in values.items()
        }

    return {**state, "state": {i: share_one(values, parameters[i]) for i, values in state["state"].items()}}
