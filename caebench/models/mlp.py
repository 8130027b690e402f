"""The MLPs of blocks that are no plain ViT's: another activation or width, or a gate (ADR 40)."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from timm.layers.activations import QuickGELU
from timm.layers.mlp import Mlp, SwiGLUPacked
from torch import nn

from caebench.specs.architecture import Activation, Architecture

ACTIVATIONS: Mapping[Activation, Callable[..., nn.Module]] = {
    "gelu": nn.GELU,
    "quick_gelu": QuickGELU,
    "gelu_tanh": partial(nn.GELU, approximate="tanh"),
}


def make_mlp(dim: int, architecture: Architecture) -> nn.Module | None:
    """An MLP with another activation or width, or with a gate; None for the plain ViT's."""
    if (architecture.mlp_dim, architecture.gated, architecture.activation) == (None, False, "gelu"):
        return None
    mlp_dim = architecture.mlp_dim or 4 * dim
    if architecture.gated:
        return SwiGLUPacked(dim, 2 * mlp_dim)
    act_layer: Any = ACTIVATIONS[architecture.activation]  # timm's hint wants a class, it takes what makes a module
    return Mlp(dim, mlp_dim, act_layer=act_layer)
