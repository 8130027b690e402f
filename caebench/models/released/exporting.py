"""Our encoder in the layouts of others, and enough beside it to come back without loss.

The class token's position is in the class token already (ADR 15): its own is written as zero. What a layout cannot say
(heads, the epsilon of norms) stands in a note that other programs do not look at.
"""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from caebench.config.families import Layout
from caebench.config.pixels import PixelStats, name_of
from caebench.models.checkpoint import known_stats
from caebench.models.released.fusing import split
from caebench.models.released.layout import RECORD
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


def export(encoder: Encoder, to: Layout, path: Path) -> list[str]:
    """Write the encoder for timm, MMPretrain, the official CAE code or Hugging Face; returns what is worth knowing.

    For Hugging Face the path is a folder, which `from_pretrained` takes; timm's config lies beside its file.

    Raises:
        ValueError: the path exists.
    """
    beside = timm_config_path(path) if to == "timm" else None
    for written in filter(None, (path, beside)):
        if written.exists():
            raise ValueError(f"{written}: exists already. Remove it, or give another --output.")
    path.parent.mkdir(parents=True, exist_ok=True)
    state, notes = LAYOUTS[to](encoder)
    stats = known_stats(encoder)
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    note = json.dumps(
        {
            "layout": to,
            "variant": list(encoder.variant),
            "norm_eps": encoder.norm_eps,
            "relative_position_bias": encoder.relative_position_bias,
            "pixel_stats": name_of(stats) if stats else None,
        }
    )
    partial = path.with_name(path.name + ".partial")
    match to:
        case "timm":
            save_file(state, partial, metadata={"format": "pt", RECORD: note})
        case "hf":
            partial.mkdir(exist_ok=True)  # one that a killed export has left
            save_file(state, partial / "model.safetensors", metadata={"format": "pt", RECORD: note})
            _write_json(partial / "config.json", hf_config(encoder))
            if stats is not None:
                _write_json(partial / "preprocessor_config.json", hf_preprocessor(encoder, stats))
        case "mmpretrain":
            meta = {"data_preprocessor": mm_preprocessor(stats)} if stats else {}
            torch.save({"meta": meta, "state_dict": state, RECORD: note}, partial)
        case "official-cae":
            torch.save({"model": state, RECORD: note}, partial)
    if beside is not None:
        _write_json(beside, timm_config(encoder, stats))
    partial.replace(path)
    return [*notes, *([_where_pixels_stand(to, path, stats)] if stats else [])]


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf8")


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
    """The released encoder's names, which the official evaluations read; biases of keys are theirs to pass over."""
    state = split(_named_tables(encoder, with_class_position(encoder)), keep_keys=True)
    state = rename(state, (GAMMA, *TO_TIMM, (r"^", "encoder.")))
    has_keys = any(name.endswith("k_bias") for name in state)
    return state, ["its k_bias are names that the official code passes over: softmax does not see them"] * has_keys


def to_hf(encoder: Encoder) -> tuple[State, list[str]]:
    """ViTModel; with layer scale or a bias, BeitModel, whose keys have no bias."""
    is_beit = _is_beit(encoder)
    state = _named_tables(encoder, with_class_position(encoder))
    notes = _without_key_biases(state) if is_beit else []
    for name in [name for name in state if ".attn.qkv." in name]:
        kind = name.rpartition(".")[2]
        for part, rows in zip(PARTS, state.pop(name).chunk(3), strict=True):
            if not (is_beit and part == "key" and kind == "bias"):
                state[name.replace(".attn.qkv.", f".attention.attention.{part}.")] = rows
    return rename(state, TO_HF), [f"for {'BeitModel' if is_beit else 'ViTModel'} without a pooling layer", *notes]


LAYOUTS: Mapping[Layout, Callable[[Encoder], tuple[State, list[str]]]] = {
    "timm": to_timm,
    "mmpretrain": to_mmpretrain,
    "official-cae": to_official_cae,
    "hf": to_hf,
}


def with_class_position(encoder: Encoder) -> State:
    """Our tensors, with a zero position for the class token; without positions where the encoder has none."""
    state = {name: tensor.detach().clone() for name, tensor in encoder.state_dict().items()}
    positions = state.pop("pos_embed")
    if encoder.positions != "none":
        state["pos_embed"] = torch.cat([torch.zeros_like(state["cls_token"]), positions], dim=1)
    return state


def rename(state: State, names: Names) -> State:
    """Every name through every pattern, in order."""
    renamed: State = {}
    for name, tensor in state.items():
        for pattern, theirs in names:
            name = re.sub(pattern, theirs, name)
        renamed[name] = tensor
    return renamed


def hf_config(encoder: Encoder) -> dict[str, Any]:
    """Hugging Face's `config.json`."""
    dim, depth, num_heads, patch_size = encoder.variant
    is_beit, bias = _is_beit(encoder), encoder.relative_position_bias
    sizes = {
        "architectures": ["BeitModel" if is_beit else "ViTModel"],
        "model_type": "beit" if is_beit else "vit",
        "hidden_size": dim,
        "num_hidden_layers": depth,
        "num_attention_heads": num_heads,
        "intermediate_size": 4 * dim,
        "image_size": encoder.image_size,
        "patch_size": patch_size,
        "num_channels": 3,
        "hidden_act": "gelu",
        "layer_norm_eps": encoder.norm_eps,
    }
    if not is_beit:
        return {**sizes, "qkv_bias": True}
    return {
        **sizes,
        "use_absolute_position_embeddings": encoder.positions != "none",
        "use_relative_position_bias": bias == "block",
        "use_shared_relative_position_bias": bias == "shared",
        "layer_scale_init_value": 0.1 if _has_layer_scale(encoder) else 0.0,
        "use_mean_pooling": False,
        "use_mask_token": False,
    }


def hf_preprocessor(encoder: Encoder, stats: PixelStats) -> dict[str, Any]:
    """Hugging Face's `preprocessor_config.json`."""
    return {
        "image_processor_type": "BeitImageProcessor" if _is_beit(encoder) else "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": encoder.image_size, "width": encoder.image_size},
        "resample": 3,  # Pillow's bicubic
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(stats.mean),
        "image_std": list(stats.std),
    }


def timm_config_path(path: Path) -> Path:
    """Beside the weights: `config.json` where they are called as in a folder for timm."""
    return path.with_name("config.json") if path.name == "model.safetensors" else path.with_suffix(".json")


def timm_config(encoder: Encoder, stats: PixelStats | None) -> dict[str, Any]:
    """timm's `config.json`: with it and `model.safetensors` a folder is a model, `local-dir:FOLDER`."""
    dim, depth, num_heads, patch_size = encoder.variant
    bias = encoder.relative_position_bias
    sizes = {"img_size": encoder.image_size, "patch_size": patch_size, "embed_dim": dim, "depth": depth}
    biased = {
        "use_abs_pos_emb": encoder.positions != "none",
        "use_rel_pos_bias": bias == "block",
        "use_shared_rel_pos_bias": bias == "shared",
    }
    return {
        "architecture": "vit_base_patch16_224" if bias == "none" else "beit_base_patch16_224",
        "num_classes": 0,
        "num_features": dim,
        "global_pool": "token",
        "model_args": {
            **sizes,
            "num_heads": num_heads,
            "global_pool": "token",
            "init_values": 0.1 if _has_layer_scale(encoder) else None,
            **({} if bias == "none" else biased),
        },
        "pretrained_cfg": {
            "input_size": [3, encoder.image_size, encoder.image_size],
            "interpolation": "bicubic",
            "crop_pct": 224 / 256,  # as our evaluations
            **({"mean": list(stats.mean), "std": list(stats.std)} if stats else {}),
            "num_classes": 0,
            "first_conv": "patch_embed.proj",
            "classifier": "head",
        },
    }


def mm_preprocessor(stats: PixelStats) -> dict[str, Any]:
    """MMPretrain's `data_preprocessor`, of bytes."""
    mean, std = ([255.0 * value for value in values] for values in stats)
    return {"mean": mean, "std": std, "to_rgb": True}


def _where_pixels_stand(to: Layout, path: Path, stats: PixelStats) -> str:
    """Where the statistics stand in what was written, or how its reader is told them."""
    name = name_of(stats)
    match to:
        case "timm":
            return f"pixels are {name}: in {timm_config_path(path).name}, timm's config"
        case "hf":
            return f"pixels are {name}: in preprocessor_config.json"
        case "mmpretrain":
            return f"pixels are {name}: write data_preprocessor = {mm_preprocessor(stats)} in the config"
        case "official-cae":
            flag = "--imagenet_default_mean_and_std"
            how = {"imagenet": f"evaluate it with {flag}", "inception": f"evaluate it without {flag}"}
            return f"pixels are {name}: {how.get(name, 'the official evaluations have no option for them')}"


def _is_beit(encoder: Encoder) -> bool:
    return encoder.relative_position_bias != "none" or _has_layer_scale(encoder)


def _has_layer_scale(encoder: Encoder) -> bool:
    return "blocks.0.ls1.gamma" in encoder.state_dict()


def _beit(encoder: Encoder) -> tuple[State, list[str]]:
    """BEiT's tensors: q and v biases apart, and a shared bias under its own name."""
    state = _named_tables(encoder, with_class_position(encoder))
    notes = _without_key_biases(state)
    return split(state, keep_keys=False), notes


def _named_tables(encoder: Encoder, state: State) -> State:
    if encoder.relative_position_bias == "shared":
        state["rel_pos_bias.relative_position_bias_table"] = state.pop("relative_position_biases.0.table")
    return state


def _without_key_biases(state: State) -> list[str]:
    """A note where a layout without biases of keys loses some that are not zero."""
    biases = [tensor for name, tensor in state.items() if name.endswith(".attn.qkv.bias")]
    lost = any(bool(bias.chunk(3)[1].any()) for bias in biases)
    return ["biases of keys are left out: softmax does not see them, so tokens differ by rounding only"] * lost
