"""The configs that hubs store next to an encoder's weights: sizes and pixel statistics, in timm's and other formats."""

from pathlib import Path
from typing import Any

from caebench.checkpoints.export_names import has_layer_scale, is_beit
from caebench.models.vit import Encoder
from caebench.specs.pixel_stats import PixelStats


def hf_config(encoder: Encoder) -> dict[str, Any]:
    """Hugging Face's `config.json`."""
    dim, depth, num_heads, patch_size = encoder.variant
    for_beit, bias = is_beit(encoder), encoder.relative_position_bias
    sizes = {
        "architectures": ["BeitModel" if for_beit else "ViTModel"],
        "model_type": "beit" if for_beit else "vit",
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
    if not for_beit:
        return {**sizes, "qkv_bias": True}
    return {
        **sizes,
        "use_absolute_position_embeddings": encoder.positions != "none",
        "use_relative_position_bias": bias == "block",
        "use_shared_relative_position_bias": bias == "shared",
        "layer_scale_init_value": 0.1 if has_layer_scale(encoder) else 0.0,
        **dict.fromkeys(("use_mean_pooling", "use_mask_token"), False),
    }


def hf_preprocessor(encoder: Encoder, stats: PixelStats) -> dict[str, Any]:
    """Hugging Face's `preprocessor_config.json`."""
    return {
        "image_processor_type": "BeitImageProcessor" if is_beit(encoder) else "ViTImageProcessor",
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
    """The config next to the weights: `config.json` if they have timm's default file name."""
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
            "init_values": 0.1 if has_layer_scale(encoder) else None,
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
