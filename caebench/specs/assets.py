"""Released files: where they are, what is known of their content, what they are for."""

from typing import Annotated

from pydantic import Field, PositiveInt

from caebench.specs.base import Config
from caebench.specs.families import FamilyName
from caebench.specs.pixel_stats import PixelStatsName

Hex = Annotated[str, Field(pattern="^([0-9a-f]{64})?$")]


class Asset(Config):
    """An entry of `caebench/assets.toml`."""

    file: str = Field(pattern=r"^[\w][\w.-]*$")  # its name in the folder of assets
    url: str = Field(pattern="^https?://")
    sha256: Hex = ""  # empty: no source gives it; the first fetch records it
    published: str = Field(default="", pattern="^((md5|sha256):[0-9a-f]{4,64})?$")  # the beginning of a digest
    bytes: PositiveInt | None = None  # None: no source gives it
    by_hand: bool = False  # behind a page that a browser must pass
    licence: str
    purpose: str
    family: FamilyName | None = None  # of encoders: what `ckpt import` reads
    pixel_stats: PixelStatsName | None = None  # of encoders whose family does not fix them (ADR 25)
    source: str  # where URL and digest were read
