"""Encoders that others released."""

from caebench.config.families import FamilyName
from caebench.config.stage import Imported
from caebench.config.variants import VariantName


def imported(
    variant: VariantName | None = None,
    sha256: str | None = None,
    family: FamilyName | None = None,
    num_heads: int | None = None,
    patch_size: int = 16,
) -> Imported:
    """The encoder in a released file. Source: the file; `caebench ckpt import PATH` prints the row that names it.

    Its evaluations take the settings of the variant, which must be the file's size.

    Raises:
        ValueError: the row names no file.
    """
    if sha256 is None or family is None:
        raise ValueError("recipe 'imported' needs sha256 and family. `caebench ckpt import PATH` prints them as a row")
    return Imported(
        kind="imported", sha256=sha256, family=family, num_heads=num_heads, variant=variant, patch_size=patch_size
    )
