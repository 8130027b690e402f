"""The encoder file that every pretraining job writes and every evaluation reads: weights, and what they are."""

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from caebench.config.pixels import FORM, IMAGENET, PixelStats, name_of, parse_stats
from caebench.config.variants import Variant
from caebench.models.attention import resample_table
from caebench.models.vit import Bias, Encoder, resample_positions

BIASES = "relative_position_biases."
TABLE = BIASES + "{}.table"


class FileEncoder(Encoder):
    """An encoder from a file, and the pixels that it was trained on."""

    pixel_stats: PixelStats | None = None  # None: nothing says


def stats_of(encoder: Encoder) -> PixelStats:
    """What an encoder's images are normalised by: as its file says, or ImageNet's, as all that is pretrained here.

    Raises:
        ValueError: it was released, and nothing says.
    """
    if (stats := known_stats(encoder)) is None:
        raise ValueError(f"pixel_stats: nothing says by what the encoder's images are normalised. Give one of {FORM}.")
    return stats


def known_stats(encoder: Encoder) -> PixelStats | None:
    """The same; None where nothing says."""
    return encoder.pixel_stats if isinstance(encoder, FileEncoder) else IMAGENET


def save_encoder(encoder: Encoder, path: Path, state: Mapping[str, Tensor] | None = None) -> None:
    """Write the encoder with its sizes, all or nothing; with another state where its own is in shares.

    A class token's own position is added to the token: evaluations know one token (ADR 15).
    """
    tensors = merge_class_position(encoder, encoder.state_dict() if state is None else state)
    sizes = {
        "variant": list(encoder.variant),
        "image_size": encoder.image_size,
        "layer_scale": hasattr(encoder.blocks[0].ls1, "gamma"),
        "positions": "learnt" if encoder.positions == "learnt_with_class" else encoder.positions,
        "relative_position_bias": encoder.relative_position_bias,
        "norm_eps": encoder.norm_eps,
        "pixel_stats": name_of(stats_of(encoder)),
    }
    partial = path.with_suffix(".partial")
    save_file(
        {name: value.detach().cpu().contiguous() for name, value in tensors.items()},
        partial,
        metadata={"encoder": json.dumps(sizes)},
    )
    partial.replace(path)


def merge_class_position(encoder: Encoder, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The state with the class token's position added to the token, where it is apart."""
    if encoder.positions != "learnt_with_class":
        return state
    positions = state["pos_embed"]
    return {**state, "cls_token": state["cls_token"] + positions[:, :1], "pos_embed": positions[:, 1:]}


def read_encoder(
    path: Path, image_size: int | None = None, *, drop_path: float = 0.0, relative_position_bias: bool = False
) -> FileEncoder:
    """The encoder in a file, for images of this size (the file's by default); positions are interpolated (bicubic).

    With `relative_position_bias` every block gets one of its own: the file's, or a copy of the one that its blocks
    share, or a new one of zeros. Without, the file's is kept as it is.

    Raises:
        ValueError: the file is missing, damaged, or its tensors do not have the sizes that it names.
    """
    try:
        with safe_open(path, framework="pt") as file:
            sizes = json.loads(file.metadata()["encoder"])
            stats = parse_stats(sizes.get("pixel_stats", "imagenet"))  # files without it are older than the note
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 not a dict
    except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
        message = f"{path}: cannot be read as an encoder file: {error}. Delete its job's folder and run it again."
        raise ValueError(message) from error
    own = sizes.get("relative_position_bias", "none")
    encoder = FileEncoder(
        Variant(*sizes["variant"]),
        image_size or int(sizes["image_size"]),
        layer_scale=0.1 if sizes["layer_scale"] else None,
        drop_path=drop_path,
        positions=sizes.get("positions", "sincos"),
        relative_position_bias="block" if relative_position_bias else own,
        norm_eps=sizes.get("norm_eps", 1e-6),
    )
    state["pos_embed"] = resample_positions(state["pos_embed"], (encoder.grid, encoder.grid))
    state = _fit_biases(state, encoder, own)
    if wrong := misfits(encoder.state_dict(), state):
        raise ValueError(f"{path}: not an encoder of {encoder.variant}: {'; '.join(wrong[:5])}")
    encoder.load_state_dict(state)
    encoder.pixel_stats = stats
    return encoder


def _fit_biases(state: Mapping[str, Tensor], encoder: Encoder, own: Bias) -> dict[str, Tensor]:
    """The state with the file's biases on the encoder's grid, one for each that the encoder has."""
    fitted = {name: value for name, value in state.items() if not name.startswith(BIASES)}
    grid = encoder.grid, encoder.grid
    for number, bias in enumerate(encoder.relative_position_biases):
        name = TABLE.format(number)
        source = TABLE.format(0) if own == "shared" else name
        is_new = own == "none"
        fitted[name] = bias.get_parameter("table") if is_new else resample_table(state[source], grid)
    return fitted


def misfits(expected: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> list[str]:
    """Each tensor that is missing, left over or of another shape, in words."""
    wrong = [f"{name}: missing" for name in expected.keys() - state.keys()]
    wrong += [f"{name}: not part of the model" for name in state.keys() - expected.keys()]
    for name in expected.keys() & state.keys():
        if expected[name].shape != state[name].shape:
            wrong.append(f"{name}: {tuple(state[name].shape)}, expected {tuple(expected[name].shape)}")
    return sorted(wrong)
