"""Released files: where they are, what is known of their content, what they are for."""

from typing import Annotated

from pydantic import Field, PositiveInt

from caebench.specs.base import Config
from caebench.specs.families import FamilyName
from caebench.specs.pixel_stats import PixelStatsName

Hex = Annotated[str, Field(pattern="^([0-9a-f]{64})?$")]


class Asset(Config):
    """An entry of `caebench/assets.toml`."""

    file: str = Field(pattern=r"^[\w][\w.-]*$")
    """Its name in the folder of assets."""
    url: str = Field(pattern="^https?://")
    """Where it is fetched from."""
    sha256: Hex = ""
    """Its SHA-256; empty: no source gives it, and the first fetch records it."""
    published: str = Field(default="", pattern="^((md5|sha256):[0-9a-f]{4,64})?$")
    """The beginning of a published digest, as `md5:...` or `sha256:...`."""
    bytes: PositiveInt | None = None
    """Its size; without it no source gives one."""
    by_hand: bool = False
    """It lies behind a page that a browser must pass."""
    licence: str
    """Its licence, as its source names it."""
    purpose: str
    """What it is for."""
    family: FamilyName | None = None
    """Of an encoder: the family that `ckpt import` reads it as."""
    pixel_stats: PixelStatsName | None = None
    """Of an encoder whose family does not fix them: its pixel statistics (ADR 25)."""
    source: str
    """Where URL and digest were read."""
