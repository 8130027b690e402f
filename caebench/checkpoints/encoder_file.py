"""The encoder file that every pretraining job writes and every evaluation reads: weights and metadata."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from caebench.files.atomic import replacing
from caebench.files.permissions import check_readable
from caebench.models.attention import resample_table
from caebench.models.timm_encoder import TimmEncoder
from caebench.models.vit import Bias, Encoder, resample_positions
from caebench.specs.architecture import from_dict, to_dict
from caebench.specs.pixel_stats import FORM, IMAGENET, PixelStats, name_of, parse_stats
from caebench.specs.variants import Variant

BIASES = "relative_position_biases."
TABLE = BIASES + "{}.table"


class FileEncoder(Encoder):
    """An encoder from a file, with the statistics of the pixels that it was trained on."""

    pixel_stats: PixelStats | None = None  # None: unknown


class FileTimmEncoder(TimmEncoder, FileEncoder):
    """A network of timm's from a file."""


def stats_of(encoder: Encoder) -> PixelStats:
    """The pixel statistics for an encoder's images: those of its file, or ImageNet's if it was pretrained here.

    Raises:
        ValueError: the file has none.
    """
    if (stats := known_stats(encoder)) is None:
        raise ValueError(f"pixel_stats: unknown how the encoder's images are normalised. Give one of {FORM}.")
    return stats


def known_stats(encoder: Encoder) -> PixelStats | None:
    """The same, or None if unknown."""
    return encoder.pixel_stats if isinstance(encoder, FileEncoder) else IMAGENET


def save_encoder(encoder: Encoder, path: Path, state: Mapping[str, Tensor] | None = None) -> None:
    """Write the encoder with its sizes atomically; `state` is the full state if the encoder is sharded.

    A separate position of the class token is added to the token, since evaluations have one token (ADR 15).
    """
    tensors = merge_class_position(encoder, encoder.state_dict() if state is None else state)
    sizes = _timm_facts(encoder) if isinstance(encoder, TimmEncoder) else _facts(encoder)
    with replacing(path) as partial:
        save_file(
            {name: value.detach().cpu().contiguous() for name, value in tensors.items()},
            partial,
            metadata={"encoder": json.dumps({**sizes, "pixel_stats": name_of(stats_of(encoder))})},
        )


def _timm_facts(encoder: TimmEncoder) -> dict[str, Any]:
    return {"timm": encoder.name, "image_size": encoder.image_size, "variant": list(encoder.variant)}


def _facts(encoder: Encoder) -> dict[str, Any]:
    return {
        "variant": list(encoder.variant),
        "image_size": encoder.image_size,
        "layer_scale": hasattr(encoder.blocks[0].ls1, "gamma"),
        "positions": "learnt" if encoder.positions == "learnt_with_class" else encoder.positions,
        "relative_position_bias": encoder.relative_position_bias,
        "norm_eps": encoder.norm_eps,
        **({"architecture": differing} if (differing := to_dict(encoder.architecture)) else {}),
    }


def merge_class_position(encoder: Encoder, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The state with the class token's position added to the token, if it is a separate parameter."""
    if encoder.positions != "learnt_with_class":
        return state
    positions = state["pos_embed"]
    return {**state, "cls_token": state["cls_token"] + positions[:, :1], "pos_embed": positions[:, 1:]}


def read_encoder(
    path: Path, image_size: int | None = None, *, drop_path: float = 0.0, relative_position_bias: bool = False
) -> FileEncoder:
    """The encoder in a file, for images of this size (the file's by default); positions are interpolated (bicubic).

    With `relative_position_bias` every block gets its own bias: the file's, or a copy of the one that its blocks share,
    or a new one of zeros. Without it, the file's bias is kept as it is.

    Raises:
        ValueError: the file is missing, damaged, or its tensors do not have the sizes that it names.
        PermissionError: this user may not read it.
    """
    check_readable(path)
    try:
        with safe_open(path, framework="pt") as file:
            sizes = json.loads(file.metadata()["encoder"])
            stats = parse_stats(sizes.get("pixel_stats", "imagenet"))  # older files have none
            architecture = from_dict(sizes.get("architecture", {}))
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 not a dict
    except (OSError, KeyError, TypeError, ValueError, AttributeError, SafetensorError) as error:
        message = f"{path}: cannot be read as an encoder file: {error}. Delete its job's folder and run it again."
        raise ValueError(message) from error
    if "timm" in sizes:
        return _read_timm(path, sizes, state, stats, image_size, drop_path)
    own = sizes.get("relative_position_bias", "none")
    encoder = FileEncoder(
        Variant(*sizes["variant"]),
        image_size or int(sizes["image_size"]),
        layer_scale=0.1 if sizes["layer_scale"] else None,
        drop_path=drop_path,
        positions=sizes.get("positions", "sincos"),
        relative_position_bias="block" if relative_position_bias else own,
        norm_eps=sizes.get("norm_eps", 1e-6),
        architecture=architecture,
    )
    state["pos_embed"] = resample_positions(state["pos_embed"], (encoder.grid, encoder.grid))
    state = _fit_biases(state, encoder, own)
    if wrong := misfits(encoder.state_dict(), state):
        raise ValueError(f"{path}: not an encoder of {encoder.variant}: {'; '.join(wrong[:5])}")
    encoder.load_state_dict(state)
    encoder.pixel_stats = stats
    return encoder


def _read_timm(
    path: Path, sizes: Any, state: Mapping[str, Tensor], stats: PixelStats, image_size: int | None, drop_path: float
) -> FileTimmEncoder:
    """A network of timm's: made without its weights, then given the file's."""
    encoder = FileTimmEncoder(sizes["timm"], int(sizes["image_size"]), drop_path=drop_path)
    if wrong := misfits(encoder.state_dict(), state):
        raise ValueError(f"{path}: not timm's {sizes['timm']} of this version: {'; '.join(wrong[:5])}")
    encoder.load_state_dict(state)
    encoder.pixel_stats = stats
    encoder.resize(image_size or encoder.image_size)
    return encoder


def _fit_biases(state: Mapping[str, Tensor], encoder: Encoder, own: Bias) -> dict[str, Tensor]:
    """The state with the file's biases interpolated to the encoder's grid, one for each bias of the encoder."""
    fitted = {name: value for name, value in state.items() if not name.startswith(BIASES)}
    grid = encoder.grid, encoder.grid
    for number, bias in enumerate(encoder.relative_position_biases):
        name = TABLE.format(number)
        source = TABLE.format(0) if own == "shared" else name
        is_new = own == "none"
        fitted[name] = bias.get_parameter("table") if is_new else resample_table(state[source], grid)
    return fitted


def misfits(expected: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> list[str]:
    """One message for each tensor that is missing, unexpected or of another shape."""
    wrong = [f"{name}: missing" for name in expected.keys() - state.keys()]
    wrong += [f"{name}: not part of the model" for name in state.keys() - expected.keys()]
    for name in expected.keys() & state.keys():
        if expected[name].shape != state[name].shape:
            wrong.append(f"{name}: {tuple(state[name].shape)}, expected {tuple(expected[name].shape)}")
    return sorted(wrong)
