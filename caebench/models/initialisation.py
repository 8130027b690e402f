"""Weights before the first step, as the official code of CAE, BEiT, MAE, DeiT, DINO and iBOT draws them."""

from typing import Literal

import torch
from torch import Tensor, nn

Init = Literal["xavier", "xavier_patches", "truncated_normal", "normal"]  # see `initialise`


def initialise(module: nn.Module, init: Init = "xavier", std: float = 0.02) -> None:
    """Weights of linear layers and convolutions; the biases of linear layers are zero.

    xavier, truncated_normal: official CAE, whose patch projection is a truncated normal with a zero bias either way.
    xavier_patches: Xavier for the patch projection too, taken as a linear layer; its bias is PyTorch's (official MAE).
    normal: for linear layers, with the patch projection as PyTorch leaves it (DeiT, DINO, iBOT).
    `std` is of normals on linear layers; 0.02 fits a width of 768.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            _initialise_linear(layer.weight, init, std)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.Conv2d) and init == "xavier_patches":
            nn.init.xavier_uniform_(layer.weight.view(len(layer.weight), -1))
        elif isinstance(layer, nn.Conv2d) and init != "normal":
            truncate_at_one_std(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _initialise_linear(weight: Tensor, init: Init, std: float) -> None:
    match init:
        case "truncated_normal":
            truncate_at_one_std(weight, std)
        case "normal":
            nn.init.normal_(weight, std=std)
        case _:
            nn.init.xavier_uniform_(weight)


def truncate_at_one_std(weight: Tensor, std: float = 0.02) -> None:
    """A normal truncated at one standard deviation: the `trunc_normal_` of CAE's and BEiT's pretraining code.

    timm's function of that name, which all other official code uses, is `nn.init.trunc_normal_`. It truncates at 2.0,
    not at two deviations, so a deviation of 0.02 is not truncated at all. Its weights are 1.85 times as wide.
    """
    nn.init.trunc_normal_(weight, std=std, a=-std, b=std)


@torch.no_grad()
def rescale_by_depth(blocks: nn.ModuleList) -> None:
    """BEiT's rescaling of each block's two output projections by sqrt(2 * block number)."""
    for number, block in enumerate(blocks, start=1):
        for projection in ("attn.proj.weight", "mlp.fc2.weight"):
            block.get_parameter(projection).div_((2.0 * number) ** 0.5)
