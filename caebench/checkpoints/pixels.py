"""Pixel statistics from an encoder file, its family and the config next to it (ADR 25)."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from caebench.checkpoints.stated import OPEN_CLIP, owns_configs
from caebench.specs.family import Family
from caebench.specs.pixel_stats import SourcedStats, make_stats, name_of

TIMM, HUGGING_FACE = "config.json", "preprocessor_config.json"
PARTS = {TIMM: "pretrained_cfg", OPEN_CLIP: "preprocess_cfg"}  # of a config that is about pixels
MEAN_STD = {TIMM: ("mean", "std"), OPEN_CLIP: ("mean", "std"), HUGGING_FACE: ("image_mean", "image_std")}
FLAG = "imagenet_default_mean_and_std"  # of BEiT's code and those that build on it; without it 0.5 and 0.5


def stats_from_options(options: Any) -> SourcedStats | None:
    """From the training options in a file, for BEiT's code and code that builds on it."""
    flag = getattr(options, FLAG, None)
    if not isinstance(flag, bool):
        return None
    return SourcedStats("imagenet" if flag else "inception", f"its own entry 'args' ({FLAG} = {flag})")


def stats_from_family(family: Family) -> Iterator[SourcedStats]:
    """The statistics that a family's own code fixes."""
    if family.pixels is not None:
        yield SourcedStats(family.pixels, f"the family {family.title}")


def usual_stats(family: Family) -> SourcedStats | None:
    """What a family's encoders were trained on, where no source says otherwise."""
    usual = family.usual_pixels
    return None if usual is None else SourcedStats(usual, f"the family {family.title}, as no config says otherwise")


def stats_from_config(path: Path) -> Iterator[SourcedStats]:
    """From timm's, open_clip's and Hugging Face's configs in the file's folder, if that has no other weights.

    Raises:
        ValueError: one cannot be read.
    """
    if not owns_configs(path):
        return
    for name, (mean, std) in MEAN_STD.items():
        config = path.with_name(name)
        if not config.is_file():
            continue
        try:
            found = _content(json.loads(config.read_text(encoding="utf8")), name)
            if mean in found and std in found:
                yield SourcedStats(name_of(make_stats(_three(found[mean]), _three(found[std]))), str(config))
        except (OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            do = "Correct it, or move it elsewhere and give --pixel-stats"
            raise ValueError(f"{config}: its statistics of pixels cannot be read: {error}. {do}.") from error


def _content(config: Any, name: str) -> dict[str, Any]:
    """The part of a config about pixels."""
    found = config.get(PARTS[name], config) if name in PARTS else config
    if not isinstance(found, dict):
        raise TypeError("it is not a table")
    return found if found.get("do_normalize", True) else {"image_mean": 0.0, "image_std": 1.0}


def _three(values: Any) -> list[float]:
    return [float(values)] * 3 if isinstance(values, int | float) else [float(value) for value in values]
