"""The encoder file that every pretraining job writes and every evaluation reads: weights, and what they are."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from timm.layers.pos_embed import resample_abs_pos_embed
from torch import Tensor

from caebench.config.variants import Variant
from caebench.models.vit import Encoder

ENCODER = "encoder.safetensors"


def save_encoder(encoder: Encoder, path: Path) -> None:
    """Write the encoder with its sizes, all or nothing."""
    has_scale = hasattr(encoder.blocks[0].ls1, "gamma")
    sizes = {"variant": list(encoder.variant), "image_size": encoder.image_size, "layer_scale": has_scale}
    partial = path.with_suffix(".partial")
    state = {name: value.detach().cpu().contiguous() for name, value in encoder.state_dict().items()}
    save_file(state, partial, metadata={"encoder": json.dumps(sizes)})
    partial.replace(path)


def read_encoder(
    path: Path, image_size: int | None = None, *, drop_path: float = 0.0, relative_position_bias: bool = False
) -> Encoder:
    """The encoder in a file, for images of this size (the file's by default); positions are interpolated (bicubic).

    Raises:
        ValueError: the file is missing, damaged, or its tensors do not have the sizes that it names.
    """
    try:
        with safe_open(path, framework="pt") as file:
            sizes = json.loads(file.metadata()["encoder"])
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 not a dict
    except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
        message = f"{path}: cannot be read as an encoder file: {error}. Delete its job's folder and run it again."
        raise ValueError(message) from error
    variant = Variant(*sizes["variant"])
    scale = 0.1 if sizes["layer_scale"] else None
    bias, size = relative_position_bias, image_size or int(sizes["image_size"])
    encoder = Encoder(variant, size, layer_scale=scale, drop_path=drop_path, relative_position_bias=bias)
    resample = cast(Callable[..., Tensor], resample_abs_pos_embed)  # torch.fx.wrap hides its type
    state["pos_embed"] = resample(state["pos_embed"], [encoder.grid] * 2, num_prefix_tokens=0)
    expected = {n: v for n, v in encoder.state_dict().items() if not n.startswith("relative_position_biases.")}
    if wrong := misfits(expected, state):
        raise ValueError(f"{path}: not an encoder of {encoder.variant}: {'; '.join(wrong[:5])}")
    encoder.load_state_dict(state, strict=False)  # only the biases may be new: checked above
    return encoder


def misfits(expected: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> list[str]:
    """Each tensor that is missing, left over or of another shape, in words."""
    wrong = [f"{name}: missing" for name in expected.keys() - state.keys()]
    wrong += [f"{name}: not part of the model" for name in state.keys() - expected.keys()]
    for name in expected.keys() & state.keys():
        if expected[name].shape != state[name].shape:
            wrong.append(f"{name}: {tuple(state[name].shape)}, expected {tuple(expected[name].shape)}")
    return sorted(wrong)
