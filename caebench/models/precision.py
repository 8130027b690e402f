"""Computations that stay in float32 under autocast to a lower precision (ADR 8)."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

P = ParamSpec("P")
R = TypeVar("R")


def without_autocast(device: torch.device) -> torch.autocast:
    """A context without autocast: products are computed in their tensors' own type."""
    return torch.autocast(device.type, enabled=False)


def in_float32(loss: Callable[P, R]) -> Callable[P, R]:
    """Compute a loss in float32, without autocast; float64 stays float64."""

    call: Callable[..., R] = loss

    @wraps(loss)
    def computed(*args: P.args, **kwargs: P.kwargs) -> R:
        values: list[Any] = [_widen(value) for value in args]
        named: dict[str, Any] = {name: _widen(value) for name, value in kwargs.items()}
        tensors = [value for value in (*values, *named.values()) if isinstance(value, Tensor)]
        with without_autocast(tensors[0].device):
            return call(*values, **named)

    return computed


def _widen(value: object) -> object:
    return value.float() if isinstance(value, Tensor) and value.dtype in (torch.bfloat16, torch.float16) else value
