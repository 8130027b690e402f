"""What a hub's config next to an encoder's weights says of the network: heads, epsilon, activation, sizes (ADR 40).

The weights' shapes have the sizes too: a config that contradicts them is another file's, and an error.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from caebench.specs.architecture import Activation
from caebench.specs.families import FAMILIES
from caebench.specs.family import Family

HUB = ("model.safetensors", "pytorch_model.bin", "open_clip_pytorch_model.bin", "open_clip_model.safetensors")
WEIGHTS = (".safetensors", ".bin", ".pth", ".pt", ".pyth", ".tar")
HUGGING_FACE, OPEN_CLIP = "config.json", "open_clip_config.json"
ACTIVATIONS: Mapping[str, Activation] = {  # transformers' names (src/transformers/activations.py) -> ours
    "gelu": "gelu",
    "quick_gelu": "quick_gelu",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_new": "gelu_tanh",
}
SIZES = {  # ours -> transformers', open_clip's
    "width": ("hidden_size", "width"),
    "blocks": ("num_hidden_layers", "layers"),
    "patch_size": ("patch_size", "patch_size"),
    "image_size": ("image_size", "image_size"),
    "mlp_dim": ("intermediate_size", ""),
    "num_registers": ("num_register_tokens", ""),
}


@dataclass(frozen=True)
class Stated:
    """A config's statements; None where it says nothing."""

    path: Path | None = None
    num_heads: int | None = None
    norm_eps: float | None = None
    activation: Activation | None = None
    sizes: Mapping[str, int] = field(default_factory=dict[str, int])  # in the words of an inspection


def owns_configs(path: Path) -> bool:
    """Whether the configs in a file's folder are its own: it has a hub's file name, or no other weights are there."""
    others = (other for other in path.parent.iterdir() if other.name != path.name and other.suffix in WEIGHTS)
    return path.name in HUB or not any(others)


def read_stated(path: Path, family: Family) -> Stated:
    """What the config next to a file says, for families that hubs have.

    Raises:
        ValueError: it cannot be read, is of another family, or has a value that no encoder of ours can have.
    """
    if not family.hub_types or not owns_configs(path):
        return Stated()
    for name, read in {HUGGING_FACE: _hugging_face, OPEN_CLIP: _open_clip}.items():
        config = path.with_name(name)
        if not config.is_file():
            continue
        try:
            content = json.loads(config.read_text(encoding="utf8"))
            if not isinstance(content, dict):
                raise TypeError("it is not a table")
            if (found := read(config, content, family)) is not None:
                return found
        except (OSError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise ValueError(f"{config}: {error}. Give the config of {path.name}, or move it elsewhere.") from error
    return Stated()


def _hugging_face(path: Path, content: dict[str, Any], family: Family) -> Stated | None:
    """From transformers' `config.json`; None for one of another program, such as timm's."""
    kind = content.get("model_type")
    if not isinstance(kind, str):
        return None
    if others := [other.title for other in FAMILIES if kind in other.hub_types and other is not family]:
        raise ValueError(f"model_type '{kind}' is {others[0]}'s, and the weights are {family.title}'s")
    tower = content.get("vision_config", content)
    if not isinstance(tower, dict):
        raise TypeError("vision_config is not a table")
    tower = {**family.hub_defaults, **tower}
    name = tower.get("hidden_act")
    if name is not None and name not in ACTIVATIONS:
        raise ValueError(f"hidden_act '{name}' is none of {', '.join(ACTIVATIONS)}")
    return Stated(
        path,
        _positive(tower, "num_attention_heads"),
        _epsilon(tower),
        None if name is None else ACTIVATIONS[name],
        dict(_sizes(tower, 0)),
    )


def _open_clip(path: Path, content: dict[str, Any], family: Family) -> Stated | None:
    """From `open_clip_config.json`; a tower of timm's or of Hugging Face's is named there, and has no sizes."""
    model: Any = content.get("model_cfg", {})
    tower: Any = model.get("vision_cfg", {}) if isinstance(model, dict) else None
    if not isinstance(tower, dict):
        raise TypeError("model_cfg.vision_cfg is not a table")
    if "width" not in tower:
        return None
    head_dim = _positive(tower, "head_width") or 64  # open_clip's default
    width = _positive(tower, "width") or 0
    act = "quick_gelu" if model.get("quick_gelu", False) is True else "gelu"
    return Stated(path, width // head_dim, None, act, dict(_sizes(tower, 1)))


def _sizes(table: Mapping[str, Any], column: int) -> Iterator[tuple[str, int]]:
    for ours, theirs in SIZES.items():
        name = theirs[column]
        if ours == "num_registers" and table.get(name) == 0:
            yield ours, 0
        elif name and (value := _positive(table, name)) is not None:
            yield ours, value


def _positive(table: Mapping[str, Any], name: str) -> int | None:
    """A whole number above 0; of a pair of equal ones, the one."""
    value = table.get(name)
    if isinstance(value, list) and len(value) == 2 and value[0] == value[1]:
        value = value[0]
    if value is None:
        return None
    if type(value) is not int or value < 1:
        raise ValueError(f"{name} {value!r} is not a whole number above 0")
    return value


def _epsilon(table: Mapping[str, Any]) -> float | None:
    value = table.get("layer_norm_eps")
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value) or not 0 < value < 1:
        raise ValueError(f"layer_norm_eps {value!r} is not a number between 0 and 1")
    return float(value)


def check_stated(stated: Stated, found: Mapping[str, int], path: Path) -> None:
    """Compare a config's sizes with those in the weights' shapes.

    Raises:
        ValueError: one differs.
    """
    for name, value in stated.sizes.items():
        if name == "image_size":
            value = value // found["patch_size"] * found["patch_size"]  # incomplete patches are ignored
        if name in found and found[name] != value:
            what = name.removeprefix("num_").replace("_", " ")
            raise ValueError(
                f"{stated.path}: says {what} {value}, but {path.name} has {found[name]}. Give the config of "
                f"{path.name}, or move it elsewhere."
            )
