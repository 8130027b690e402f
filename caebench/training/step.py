"""The parts of a training step that every loop shares: micro-batches, gradients over processes, precision, devices."""

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.nn.parallel import DistributedDataParallel

from caebench.data.crops import CROP
from caebench.specs.optim import Precision
from caebench.training.distributed import Group
from caebench.training.sharding import is_sharded

Batch = dict[str, Any]


def micro_batch(global_batch: int, group: Group, per_device: int | None, batch_multiple: int = 1) -> int:
    """The micro-batch: the largest number of samples that fits on a device and divides the process's share.

    Raises:
        ValueError: there is none.
    """
    share, rest = divmod(global_batch, group.size)
    if rest or share % batch_multiple:
        raise ValueError(
            f"global_batch {global_batch} does not divide over {group.size} processes "
            f"in groups of {batch_multiple}. Use another number of processes."
        )
    limit = min(per_device or share, share)
    fitting = [n for n in range(batch_multiple, limit + 1, batch_multiple) if share % n == 0]
    if not fitting:
        raise ValueError(
            f"per_device_batch {per_device}: no micro-batch of {share} images per process in groups of "
            f"{batch_multiple} fits. Raise it."
        )
    return fitting[-1]


def distribute(module: nn.Module) -> nn.Module:
    """The module in its process group; gradients are views of the buckets that are summed, so nothing is copied."""
    if is_sharded(module):
        return module
    warnings.filterwarnings("ignore", message="Grad strides do not match bucket view")  # 1x1 convolutions; harmless
    return DistributedDataParallel(module, broadcast_buffers=False, gradient_as_bucket_view=True)


def sum_gradients(model: nn.Module, wanted: bool) -> None:
    """Set whether the next backward pass sums gradients over processes."""
    if isinstance(model, DistributedDataParallel):
        model.require_backward_grad_sync = wanted
    elif isinstance(model, FSDPModule):
        model.set_requires_gradient_sync(wanted)


def add_to_means(means: dict[str, Tensor], outputs: Mapping[str, Tensor], num: int) -> None:
    """Add one of `num` micro-batches to the means over all of them."""
    for name, value in outputs.items():
        means[name] = means.get(name, 0.0) + value.detach() / num


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """Mixed precision from the recipe; disabled for float32."""
    dtype = torch.float16 if precision == "fp16" else torch.bfloat16
    return torch.autocast(device.type, dtype, enabled=precision != "fp32")


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Move a batch's tensors to the device, and make the views of its crops there."""
    moved = {name: value.to(device, non_blocking=True) for name, value in batch.items() if name != CROP}
    return {**moved, **batch[CROP].to_views(device)} if CROP in batch else moved
