"""Encoders that others released."""

from caebench.config.families import HEADS, PIXELS, FamilyName
from caebench.config.pixels import FORM
from caebench.config.stage import Imported
from caebench.config.variants import VariantName


def imported(
    variant: VariantName | None = None,
    sha256: str | None = None,
    family: FamilyName | None = None,
    num_heads: int | None = None,
    patch_size: int = 16,
    pixel_stats: str | None = None,
) -> Imported:
    """The encoder in a released file. Source: the file; `caebench ckpt import PATH` prints the row that names it.

    Its evaluations take the settings of the variant, which must be the file's size. The statistics of its pixels are
    those that the family fixes, or must be named.

    Raises:
        ValueError: the row names no file, or not the statistics of its pixels.
    """
    if sha256 is None or family is None:
        raise ValueError("recipe 'imported' needs sha256 and family. `caebench ckpt import PATH` prints them as a row")
    if pixel_stats is None and family in HEADS and family not in PIXELS:  # `Imported` refuses an unknown family
        raise ValueError(
            f"recipe 'imported': family '{family}' holds encoders of different pixels: give pixel_stats: {FORM}. "
            "`caebench ckpt import PATH` prints the row"
        )
    return Imported(
        kind="imported",
        sha256=sha256,
        family=family,
        num_heads=num_heads,
        pixel_stats=pixel_stats or PIXELS.get(family, "imagenet"),
        variant=variant,
        patch_size=patch_size,
    )
