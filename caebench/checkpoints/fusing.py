"""Queries, keys and values: fused into one matrix from layouts where they are separate, and split again."""

import re

import torch
from torch import Tensor


def fuse(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """One `attn.qkv` per block, from separate biases (BEiT) or separate layers (Hugging Face).

    If no block has a bias of the keys, it is zero, which does not change the softmax (ADR 15).
    """
    return fuse_biases(_fuse_layers(state))


def fuse_biases(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """BEiT's separate q and v biases as one qkv bias; the keys' are zero unless the file has some."""
    return _join_all(state, "_bias", "qkv.bias", has_keys=_any(state, r"\.attn\.k_bias$"))


def _fuse_layers(state: dict[str, Tensor]) -> dict[str, Tensor]:
    _join_all(state, ".weight", "qkv.weight", has_keys=True)
    return _join_all(state, ".bias", "qkv.bias", has_keys=_any(state, r"\.attn\.k\.bias$"))


def _any(state: dict[str, Tensor], pattern: str) -> bool:
    return any(re.search(pattern, name) for name in state)


def _join_all(state: dict[str, Tensor], part: str, joined: str, has_keys: bool) -> dict[str, Tensor]:
    """Join `q`, `k` and `v` of every block; a block that lacks a part is not changed, and later reported as missing."""
    for q in [name for name in state if re.search(rf"\.attn\.q{re.escape(part)}$", name)]:
        stem = q.removesuffix("q" + part)
        k, v = f"{stem}k{part}", f"{stem}v{part}"
        if v in state and (k in state or not has_keys):
            queries = state.pop(q)
            state[stem + joined] = torch.cat([queries, state.pop(k, torch.zeros_like(queries)), state.pop(v)])
    return state


def split(state: dict[str, Tensor], keep_keys: bool) -> dict[str, Tensor]:
    """Split a qkv bias into BEiT's q and v biases; also the keys' if `keep_keys` is set and some is not zero."""
    fused = {name: tensor for name, tensor in state.items() if name.endswith(".attn.qkv.bias")}
    keep = keep_keys and any(bool(bias.chunk(3)[1].any()) for bias in fused.values())
    for name, bias in fused.items():
        parts = dict(zip("qkv", bias.chunk(3), strict=True))
        del state[name]
        state |= {name.replace("qkv.bias", f"{part}_bias"): rows for part, rows in parts.items() if part != "k" or keep}
    return state
