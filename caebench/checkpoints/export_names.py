"""Our tensors under the names of other projects: timm, MMPretrain, the official CAE code, Hugging Face.

The class token already includes its position (ADR 15), so its position is written as zero.
"""

import re

import torch
from torch import Tensor

from caebench.checkpoints.fusing import split
from caebench.models.vit import Encoder

State = dict[str, Tensor]
Names = tuple[tuple[str, str], ...]
BLOCK_TABLE = r"^relative_position_biases\.(\d+)\.table$"

GAMMA = (r"\.ls([12])\.gamma$", r".gamma_\1")
TABLE = (BLOCK_TABLE, r"blocks.\1.attn.relative_position_bias_table")
TO_TIMM: Names = ((r"^patch_embed\.", "patch_embed.proj."), TABLE)
TO_MMPRETRAIN: Names = (
    TABLE,
    (r"^patch_embed\.", "patch_embed.projection."),
    (r"\.norm([12])\.", r".ln\1."),
    (r"\.ls1\.gamma$", ".attn.gamma1.weight"),
    (r"\.ls2\.gamma$", ".ffn.gamma2.weight"),
    (r"\.mlp\.fc1\.", ".ffn.layers.0.0."),
    (r"\.mlp\.fc2\.", ".ffn.layers.1."),
    (r"^blocks\.", "layers."),
    (r"^norm\.", "ln1."),
    (r"^", "backbone."),
)
TO_HF: Names = (
    (BLOCK_TABLE, r"blocks.\1.attention.attention.relative_position_bias.relative_position_bias_table"),
    (r"^rel_pos_bias\.", "encoder.relative_position_bias."),
    (r"^cls_token$", "embeddings.cls_token"),
    (r"^pos_embed$", "embeddings.position_embeddings"),
    (r"^patch_embed\.", "embeddings.patch_embeddings.projection."),
    (r"\.norm1\.", ".layernorm_before."),
    (r"\.norm2\.", ".layernorm_after."),
    (r"\.ls([12])\.gamma$", r".lambda_\1"),
    (r"\.attn\.proj\.", ".attention.output.dense."),
    (r"\.mlp\.fc1\.", ".intermediate.dense."),
    (r"\.mlp\.fc2\.", ".output.dense."),
    (r"^blocks\.", "encoder.layer."),
    (r"^norm\.", "layernorm."),
)
PARTS = ("query", "key", "value")


def to_timm(encoder: Encoder) -> tuple[State, list[str]]:
    """VisionTransformer; with a bias, Beit."""
    if encoder.relative_position_bias == "none":
        return rename(with_class_position(encoder), TO_TIMM), ["for timm's VisionTransformer"]
    state, notes = _beit(encoder)
    return rename(state, (GAMMA, *TO_TIMM)), ["for timm's Beit", *notes]


def to_mmpretrain(encoder: Encoder) -> tuple[State, list[str]]:
    """VisionTransformer; with a bias, BEiT."""
    if encoder.relative_position_bias == "none":
        return rename(with_class_position(encoder), TO_MMPRETRAIN), ["for MMPretrain's VisionTransformer"]
    state, notes = _beit(encoder)
    return rename(state, (GAMMA, *TO_MMPRETRAIN)), ["for MMPretrain's BEiT with final_norm=True", *notes]


def to_official_cae(encoder: Encoder) -> tuple[State, list[str]]:
    """The names of CAE's own file, which the official evaluations read; they ignore biases of keys."""
    state = split(_named_tables(encoder, with_class_position(encoder)), keep_keys=True)
    state = rename(state, (GAMMA, *TO_TIMM, (r"^", "encoder.")))
    has_keys = any(name.endswith("k_bias") for name in state)
    return state, ["the official code ignores its k_bias, which do not change the softmax"] * has_keys


def to_hf(encoder: Encoder) -> tuple[State, list[str]]:
    """ViTModel; with layer scale or a bias, BeitModel, whose keys have no bias."""
    for_beit = is_beit(encoder)
    state = _named_tables(encoder, with_class_position(encoder))
    notes = _without_key_biases(state) if for_beit else []
    for name in [name for name in state if ".attn.qkv." in name]:
        kind = name.rpartition(".")[2]
        for part, rows in zip(PARTS, state.pop(name).chunk(3), strict=True):
            if not (for_beit and part == "key" and kind == "bias"):
                state[name.replace(".attn.qkv.", f".attention.attention.{part}.")] = rows
    return rename(state, TO_HF), [f"for {'BeitModel' if for_beit else 'ViTModel'} without a pooling layer", *notes]


def with_class_position(encoder: Encoder) -> State:
    """Our tensors, with a zero position for the class token; without positions if the encoder has none."""
    state = {name: tensor.detach().clone() for name, tensor in encoder.state_dict().items()}
    positions = state.pop("pos_embed")
    if encoder.positions != "none":
        state["pos_embed"] = torch.cat([torch.zeros_like(state["cls_token"]), positions], dim=1)
    return state


def rename(state: State, names: Names) -> State:
    """Apply every pattern to every name, in order."""
    renamed: State = {}
    for name, tensor in state.items():
        for pattern, theirs in names:
            name = re.sub(pattern, theirs, name)
        renamed[name] = tensor
    return renamed


def is_beit(encoder: Encoder) -> bool:
    """Whether only BEiT's network can hold all of it."""
    return encoder.relative_position_bias != "none" or has_layer_scale(encoder)


def has_layer_scale(encoder: Encoder) -> bool:
    """Whether its branches are scaled."""
    return "blocks.0.ls1.gamma" in encoder.state_dict()


def _beit(encoder: Encoder) -> tuple[State, list[str]]:
    """BEiT's tensors: separate q and v biases, and a shared bias under its own name."""
    state = _named_tables(encoder, with_class_position(encoder))
    notes = _without_key_biases(state)
    return split(state, keep_keys=False), notes


def _named_tables(encoder: Encoder, state: State) -> State:
    if encoder.relative_position_bias == "shared":
        state["rel_pos_bias.relative_position_bias_table"] = state.pop("relative_position_biases.0.table")
    return state


def _without_key_biases(state: State) -> list[str]:
    """A remark if a layout without biases of keys loses some that are not zero."""
    biases = [tensor for name, tensor in state.items() if name.endswith(".attn.qkv.bias")]
    lost = any(bool(bias.chunk(3)[1].any()) for bias in biases)
    return ["biases of keys are left out: they do not change the softmax, so tokens differ by rounding only"] * lost
