"""Where jobs run: data roots, store, devices. A site changes no number and enters no job id."""

import os
import tomllib
from pathlib import Path
from typing import Literal

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt, ValidationError

from caebench.config.base import Config

SITES = Path("~/.config/caebench/sites")
ScaleName = Literal["nano", "lab", "paper"]


class Roots(Config):
    """Folders of the real data sets, as `caebench data check` expects them."""

    imagenet1k: Path | None = None  # holds train/ and val/
    food101: Path | None = None  # holds food-101/
    clipart: Path | None = None  # DomainNet: holds clipart/ and clipart_{train,test}.txt
    sketch: Path | None = None  # DomainNet: holds sketch/ and sketch_{train,test}.txt
    ade20k: Path | None = None  # ADEChallengeData2016 itself
    coco: Path | None = None  # holds train2017/, val2017/, annotations/


class Assets(Config):
    """Files that users bring themselves."""

    dalle_encoder: Path | None = None


class Site(Config):
    """One machine or cluster."""

    store: Path = Path(".caebench/store")
    scale: ScaleName = "nano"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    num_workers: NonNegativeInt | None = None  # data loading processes a device; None: 8 on CUDA, 0 on CPU
    per_device_batch: PositiveInt = 256  # the most images a device takes at once; the rest is accumulated
    compile: bool = False
    checkpoint_minutes: PositiveFloat = 10.0
    data: Roots = Roots()
    assets: Assets = Assets()


def load_site(name: str = "local") -> Site:
    """Read `~/.config/caebench/sites/<name>.toml`; the site `local` needs no file.

    Raises:
        ValueError: the file is missing, is not TOML, or has an unknown or wrong field.
    """
    path = (SITES / f"{name}.toml").expanduser()
    if not path.exists():
        if name == "local":
            return Site.model_validate(_environment())
        known = sorted(p.stem for p in path.parent.glob("*.toml"))
        raise ValueError(f"{path}: no such site. Known: {', '.join(['local', *known])}. Write the file, or use local.")
    try:
        return Site.model_validate({**tomllib.loads(path.read_text(encoding="utf8")), **_environment()})
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path}: not valid TOML: {error}. Correct the file.") from error
    except ValidationError as error:
        raise ValueError(f"{path}: {describe(error)}") from error


def describe(error: ValidationError) -> str:
    """A validation error in one line: field, value, what is allowed."""
    parts: list[str] = []
    for item in error.errors():
        field = ".".join(str(part) for part in item["loc"]) or "(top level)"
        if item["type"] == "extra_forbidden":
            parts.append(f"unknown field '{field}'")
        elif item["type"] == "missing":
            parts.append(f"missing field '{field}'")
        else:
            parts.append(f"field '{field}' is {item['input']!r}: {item['msg'].lower()}")
    return "; ".join(parts)


def _environment() -> dict[str, str]:
    """CAEBENCH_STORE overrides the store, so that a test or a scratch run needs no site file."""
    return {"store": os.environ["CAEBENCH_STORE"]} if "CAEBENCH_STORE" in os.environ else {}
