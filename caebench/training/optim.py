"""Parameter groups, optimizers and the learning-rate schedule."""

import math
from typing import Any

import torch
from timm.optim.lars import Lars
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from caebench.models.vit import Encoder
from caebench.specs.optim import LARS, SGD, AdamW, Optimization, Optimizer
from caebench.training.hooks import StepInfo

ParamGroup = dict[str, Any]


def split_decay(module: nn.Module, lr_scale: float = 1.0) -> list[ParamGroup]:
    """Two groups: parameters with weight decay, and biases and one-dimensional ones without (official code)."""
    named = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
    flat = [p for name, p in named if p.ndim <= 1 or name.endswith(".bias")]
    decayed = [p for name, p in named if not (p.ndim <= 1 or name.endswith(".bias"))]
    groups = [{"params": decayed, "decays": True}, {"params": flat, "decays": False}]
    return [{**group, "lr_scale": lr_scale} for group in groups if group["params"]]


def encoder_groups(encoder: Encoder, decay: float) -> list[ParamGroup]:
    """Layer-wise learning-rate decay (BEiT): block i of n at decay^(n - i), patches at decay^(n + 1).

    Parameters that belong to no block have the full rate, as in the official constructors (`get_num_layer_for_vit`): a
    table of relative positions that all blocks share, and a final norm.
    """
    if (own := encoder.layer_groups(decay)) is not None:
        return own
    depth, biases = len(encoder.blocks), encoder.relative_position_biases
    groups = split_decay(encoder.norm)
    of_block = len(biases) == depth and encoder.relative_position_bias == "block"
    for number, block in enumerate(encoder.blocks):
        for part in (block, biases[number]) if of_block else (block,):
            groups += split_decay(part, decay ** (depth - number))
    groups += [] if of_block else split_decay(biases)
    scale = decay ** (depth + 1)
    groups += split_decay(encoder.norm_before, scale)
    groups.append({"params": [encoder.patch_embed.weight], "decays": True, "lr_scale": scale})
    alone = [encoder.cls_token, encoder.patch_embed.bias, encoder.registers]  # BEiT's fine-tuning decays neither the
    alone += [encoder.pos_embed] if encoder.pos_embed.requires_grad else []  # class token nor the positions
    undecayed = [parameter for parameter in alone if parameter is not None]
    return [*groups, {"params": undecayed, "decays": False, "lr_scale": scale}]


def make_optimizer(config: Optimization, groups: list[ParamGroup]) -> torch.optim.Optimizer:
    """The optimizer over groups made by `split_decay`; every group keeps its `lr_scale`."""
    kind = config.optimizer
    groups = [{**group, "weight_decay": kind.weight_decay if group["decays"] else 0.0} for group in groups]
    match kind:
        case AdamW():
            return torch.optim.AdamW(groups, config.lr, (kind.beta1, kind.beta2), kind.eps, fused=True)
        case SGD():
            return torch.optim.SGD(groups, config.lr, kind.momentum, nesterov=kind.nesterov)
        case LARS():
            groups = [{**group, "always_adapt": group["decays"]} for group in groups]
            momentum: Any = kind.momentum  # timm's default is the integer 0, which pyright takes for the type
            return Lars(groups, config.lr, momentum, trust_coeff=kind.trust_coefficient)


def learning_rate(config: Optimization, step: int, steps_per_epoch: int) -> float:
    """Linear warm-up from 0, then half a cosine to `min_lr`, step by step.

    Official furnace/utils.py of CAE; if the warm-up ends before the peak, util/lr_sched.py of MAE.
    """
    warmup, total = config.warmup_epochs * steps_per_epoch, config.epochs * steps_per_epoch
    if config.warmup_end == "at_peak":
        warmup = round(warmup)
    if step < warmup:
        return config.lr * step / (max(1, warmup - 1) if config.warmup_end == "at_peak" else warmup)
    progress = (step - warmup) / max(1, total - warmup)
    return config.min_lr + 0.5 * (config.lr - config.min_lr) * (1.0 + math.cos(math.pi * progress))


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set every group's rate, by its scale."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr_scale"]


def set_weight_decay(optimizer: torch.optim.Optimizer, config: Optimizer, info: StepInfo) -> None:
    """Set the weight decay of every decayed group along a cosine, if the recipe has an end value."""
    if isinstance(config, AdamW) and config.weight_decay_end is not None:
        for group in optimizer.param_groups:
            if group["decays"]:
                group["weight_decay"] = info.cosine(config.weight_decay, config.weight_decay_end)


def clip_gradients(parameters: list[nn.Parameter], config: Optimization) -> Tensor:
    """Clip the joint norm of all gradients, or of each parameter's; returns the joint norm before clipping."""
    limit = config.clip_grad
    if limit is None:
        return _full(nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None]))
    if config.clip_grad_of == "all":
        return _full(nn.utils.clip_grad_norm_(parameters, limit))
    return torch.stack([nn.utils.clip_grad_norm_(parameter, limit) for parameter in parameters]).norm()


def _full(norm: Tensor) -> Tensor:
    """The norm over all shards."""
    return norm.full_tensor() if isinstance(norm, DTensor) else norm
