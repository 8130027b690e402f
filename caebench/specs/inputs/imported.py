"""Encoders that other projects trained."""

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt

from caebench.specs.architecture import Activation
from caebench.specs.arithmetic import BYTES, encoder_parameters
from caebench.specs.base import NOT_IDENTITY
from caebench.specs.families import BY_NAME, FamilyName
from caebench.specs.job import EncoderSpec, Inputs
from caebench.specs.pixel_stats import FORM, PixelStatsName
from caebench.specs.scale import Scale
from caebench.specs.variants import VARIANTS, Variant, VariantName


class Imported(EncoderSpec):
    """An encoder that somebody released; `caebench ckpt import` makes a finished job of the file (ADR 15).

    Its identity is the file's, not the path's, and that of the pixels that it was trained on (ADR 25). The variant
    changes nothing in it: suites take from it the settings of evaluations, and plans their costs.
    """

    kind: Literal["imported"]
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    """The file's SHA-256."""
    family: FamilyName
    """The family that it is read as; `caebench ckpt families` lists them."""
    num_heads: PositiveInt | None = None
    """Attention heads; without it, as the family gives this width."""
    pixel_stats: PixelStatsName = "imagenet"
    """The statistics that its images are normalised by (ADR 25)."""
    activation: Activation | None = None
    """The activation of the MLPs; without it, as the file's content and its family determine it."""
    norm_eps: PositiveFloat | None = None
    """The epsilon of the norms; without it, the family's."""
    model: str | None = None
    """timm's name of its own network that has the weights (ADR 40); without it, they are in caebench's network."""
    variant: Annotated[VariantName | None, NOT_IDENTITY] = None
    """Its size; without it, it has no size that has a name."""
    patch_size: Annotated[PositiveInt, NOT_IDENTITY] = 16
    """Pixels of a patch's side."""
    width: Annotated[PositiveInt | None, NOT_IDENTITY] = None
    """The width of its tokens, where its size has no name: plans take hours and disk from it."""
    depth: Annotated[PositiveInt | None, NOT_IDENTITY] = None
    """Its number of blocks, where its size has no name."""

    @property
    def size(self) -> Variant:
        """Its sizes as far as they are known without the file; ViT-B's where nothing says them."""
        named = VARIANTS[self.variant or "vit_b"]
        return Variant(
            self.width or named.dim, self.depth or named.depth, self.num_heads or named.num_heads, self.patch_size
        )

    @property
    def has_class_token(self) -> bool:
        """As all encoders of the family."""
        return BY_NAME[self.family].class_token

    def slug(self, inputs: Inputs, mark: str) -> str:
        """The family or timm's network, and the beginning of the file's hash."""
        return f"{self.model or self.family}-{self.sha256[:8]}"

    def scaled(self, scale: Scale) -> Self:
        """As it is: it cannot shrink, and takes the scale's images as they are."""
        return self

    def disk_bytes(self, inputs: Inputs) -> int:
        """Its weights."""
        return encoder_parameters(self.size) * BYTES


def imported(
    variant: VariantName | None = None,
    sha256: str | None = None,
    family: FamilyName | None = None,
    num_heads: int | None = None,
    patch_size: int = 16,
    pixel_stats: str | None = None,
    activation: Activation | None = None,
    norm_eps: float | None = None,
    model: str | None = None,
    width: int | None = None,
    depth: int | None = None,
) -> Imported:
    """An encoder file of another project. Source: the file; `caebench ckpt import PATH` prints the row that names it.

    Its evaluations take the settings of the variant, which must be the file's size. The statistics of its pixels are
    those that the family fixes, or must be named.

    Raises:
        ValueError: the row names no file, or not the statistics of its pixels.
    """
    if sha256 is None or family is None:
        raise ValueError("recipe 'imported' needs sha256 and family. `caebench ckpt import PATH` prints them as a row")
    fixed = BY_NAME[family].pixels if family in BY_NAME else "imagenet"  # `Imported` refuses an unknown family
    if (stats := pixel_stats or fixed) is None:
        raise ValueError(
            f"recipe 'imported': family '{family}' holds encoders of different pixels: give pixel_stats: {FORM}. "
            "`caebench ckpt import PATH` prints the row"
        )
    return Imported(
        kind="imported",
        sha256=sha256,
        family=family,
        num_heads=num_heads,
        pixel_stats=stats,
        activation=activation,
        norm_eps=norm_eps,
        model=model,
        variant=variant,
        patch_size=patch_size,
        width=width,
        depth=depth,
    )
