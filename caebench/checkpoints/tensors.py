"""Tensors of untrusted files: whether their numbers can be read, whether they are finite, and their types."""

from collections.abc import Mapping

import torch
from torch import Tensor


def fault_of(tensor: Tensor) -> str | None:
    """Why a tensor's numbers cannot be read, and what to give instead; None if they can."""
    if tensor.device.type != "cpu":
        return f"has no numbers (device {tensor.device}). Save it from a model that has its weights."
    if tensor.is_nested or tensor.layout != torch.strided:
        kind = "nested" if tensor.is_nested else tensor.layout
        return f"is not a dense tensor ({kind}). Give a checkpoint of plain tensors."
    if tensor.is_quantized:
        return f"is not a dense tensor (quantised, {tensor.dtype}). Give the file from before quantisation."
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        return "claims more numbers than the file has. Do not use it."
    return None


def type_fault_of(tensor: Tensor) -> str | None:
    """Why the numbers of a readable tensor are no weights, and what to give instead; None if they are."""
    if not tensor.is_floating_point():
        return f"has type {tensor.dtype}, expected floating-point numbers. Give the file before it was converted."
    if tensor.dtype == torch.float4_e2m1fn_x2:
        return f"has type {tensor.dtype}, which has no float32. Give the file from before quantisation."
    return None


def not_finite(tensors: Mapping[str, Tensor]) -> dict[str, int]:
    """The number of NaN and Inf in each readable tensor that has some."""
    counts = {name: _count(tensor) for name, tensor in tensors.items()}
    return {name: count for name, count in counts.items() if count}


def _count(tensor: Tensor) -> int:
    if fault_of(tensor) or type_fault_of(tensor):
        return 0
    return int((~torch.isfinite(tensor.float())).sum())  # as the encoder will have them


def precision(state: Mapping[str, Tensor]) -> tuple[str, ...]:
    """The types of numbers in some tensors."""
    return tuple(sorted({str(tensor.dtype).removeprefix("torch.") for tensor in state.values()}))
