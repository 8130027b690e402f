"""What a released file, its family and the config beside it say of the pixels that it was trained on (ADR 25)."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from caebench.config.families import PIXELS, FamilyName
from caebench.config.pixels import Told, make_stats, name_of

HUB = ("model.safetensors", "pytorch_model.bin")  # what hubs call the weights of a folder
WEIGHTS = (".safetensors", ".bin", ".pth", ".pt", ".pyth", ".tar")
TIMM, HUGGING_FACE = "config.json", "preprocessor_config.json"
FLAG = "imagenet_default_mean_and_std"  # of BEiT's code and those that build on it; without it 0.5 and 0.5


def told_by_options(options: Any) -> Told | None:
    """What the options of training say that a file has kept: BEiT's, CAE's and data2vec's."""
    flag = getattr(options, FLAG, None)
    if not isinstance(flag, bool):
        return None
    return Told("imagenet" if flag else "inception", f"its own entry 'args' ({FLAG} = {flag})")


def told_by_family(family: FamilyName, title: str) -> Iterator[Told]:
    """What a family's own code fixes."""
    if family in PIXELS:
        yield Told(PIXELS[family], f"the family {title}")


def told_beside(path: Path) -> Iterator[Told]:
    """timm's and Hugging Face's own configs in the file's folder, where that holds no other weights.

    Raises:
        ValueError: one cannot be read.
    """
    others = (other for other in path.parent.iterdir() if other.name != path.name and other.suffix in WEIGHTS)
    if path.name not in HUB and any(others):
        return
    for name, (mean, std) in {TIMM: ("mean", "std"), HUGGING_FACE: ("image_mean", "image_std")}.items():
        config = path.with_name(name)
        if not config.is_file():
            continue
        try:
            found = _content(json.loads(config.read_text(encoding="utf8")), name)
            if mean in found and std in found:
                yield Told(name_of(make_stats(_three(found[mean]), _three(found[std]))), str(config))
        except (OSError, ValueError, TypeError, AttributeError) as error:
            do = "Correct it, or move it away and give --pixel-stats"
            raise ValueError(f"{config}: its statistics of pixels cannot be read: {error}. {do}.") from error


def _content(config: Any, name: str) -> dict[str, Any]:
    """The part of a config that speaks of pixels."""
    found = config.get("pretrained_cfg", config) if name == TIMM else config
    if not isinstance(found, dict):
        raise TypeError("it is no table")
    return found if found.get("do_normalize", True) else {"image_mean": 0.0, "image_std": 1.0}


def _three(values: Any) -> list[float]:
    return [float(values)] * 3 if isinstance(values, int | float) else [float(value) for value in values]
