"""What masked patches are predicted as: a tokenizer's codes, or pixels."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt

from caebench.specs.base import Config
from caebench.specs.inputs.dataset import SyntheticData
from caebench.specs.inputs.tokenizer import DVAE, Released, dvae
from caebench.specs.job import Job, make_job
from caebench.specs.scale import Scale
from caebench.specs.variants import Variant, VariantName

CODE_VERSIONS = (2,)  # of what a change of code has altered; 2: codes outside of autocast
DALLE_MULTIPLY_ADDS = 26.1e9 / 112**2  # a pixel of the tokenizer's view


class DALLETarget(Config):
    """Codes of the DALL-E encoder, read by a job of its own from the released file."""

    VERSIONS: ClassVar[tuple[int, ...]] = CODE_VERSIONS

    kind: Literal["dalle"]
    vocabulary: PositiveInt = 8192
    """Number of codes."""

    @property
    def stride(self) -> int:
        """Pixels of the tokenizer's view to a code, along a side."""
        return 8

    def words(self, images: str) -> str:
        """Its part of a job's name."""
        return self.kind

    def tokenizer_job(self) -> Job:
        """The job that leaves the tokenizer."""
        return Job(Released(kind="released", name="dalle_encoder"))

    def multiply_adds(self, patches: float) -> float:
        """The tokenizer's forward pass on one view."""
        return DALLE_MULTIPLY_ADDS * patches * 8**2

    def num_outputs(self, variant: Variant) -> int:
        """Numbers that are predicted of a patch."""
        return self.vocabulary

    def scaled(self, scale: Scale, variant: VariantName) -> "DALLETarget | DVAETarget":
        """On synthetic data a d-VAE that saw broader data stands in, so that the two kinds of codes stay two jobs."""
        if scale.world is None:
            return self
        own = dvae().scaled_for(scale, variant)
        assert isinstance(own.data, SyntheticData), "a scale that has a stand-in for DALL-E has synthetic data"
        return DVAETarget(kind="dvae", tokenizer=own.replace(data=own.data.replace(name="broad")))


class DVAETarget(Config):
    """Codes of a discrete VAE, trained by a job of its own."""

    VERSIONS: ClassVar[tuple[int, ...]] = CODE_VERSIONS

    kind: Literal["dvae"]
    tokenizer: DVAE
    """The d-VAE, trained by a job of its own."""

    @property
    def vocabulary(self) -> int:
        """The number of codes."""
        return self.tokenizer.vocabulary

    @property
    def stride(self) -> int:
        """Pixels of the tokenizer's view to a code, along a side."""
        return 2**self.tokenizer.num_downsamplings

    def words(self, images: str) -> str:
        """Its part of a job's name, with the tokenizer's data set where that is not the one of `images`."""
        seen = self.tokenizer.data.name
        return self.kind + (f"_{seen}" if seen != images else "")

    def tokenizer_job(self) -> Job:
        """The job that leaves the tokenizer."""
        return make_job(self.tokenizer)

    def multiply_adds(self, patches: float) -> float:
        """The tokenizer's forward pass on one view."""
        return patches * 60 * self.tokenizer.hidden_dim**2

    def num_outputs(self, variant: Variant) -> int:
        """Numbers that are predicted of a patch."""
        return self.vocabulary

    def scaled(self, scale: Scale, variant: VariantName) -> "DVAETarget":
        """The tokenizer at a scale."""
        return self.replace(tokenizer=self.tokenizer.scaled_for(scale, variant))


class PixelTarget(Config):
    """The patch's own RGB values (CAE, Table 8). Normalisation is not published: ADR 6."""

    VERSIONS: ClassVar[tuple[int, ...]] = ()

    kind: Literal["pixels"]
    normalize_patches: bool = False
    """Pixels are normalised within each patch (ADR 6)."""

    def words(self, images: str) -> str:
        """Its part of a job's name."""
        return self.kind

    def multiply_adds(self, patches: float) -> float:
        """No tokenizer."""
        return 0.0

    def num_outputs(self, variant: Variant) -> int:
        """Numbers that are predicted of a patch."""
        return 3 * variant.patch_size**2

    def scaled(self, scale: Scale, variant: VariantName) -> "PixelTarget":
        """As it is."""
        return self


CodeTarget = DALLETarget | DVAETarget
Target = Annotated[CodeTarget | PixelTarget, Field(discriminator="kind")]


def make_target(name: str) -> Target:
    """A target by its name in a suite.

    Raises:
        ValueError: there is no such target.
    """
    match name:
        case "dalle":
            return DALLETarget(kind="dalle")
        case "dvae":
            return DVAETarget(kind="dvae", tokenizer=dvae())
        case "pixels":
            return PixelTarget(kind="pixels")
        case _:
            raise ValueError(f"field 'target' is '{name}': choose dalle, dvae or pixels")
