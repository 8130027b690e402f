"""A tokenizer's codes, computed once for the pretrainings that would each compute the same (ADR 19)."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, PositiveInt

from caebench.specs.inputs.dataset import Data
from caebench.specs.job import Inputs, Job, Spec
from caebench.specs.targets import CodeTarget

CODES = "codes"  # the role of a cache among a pretraining's optional inputs


class Codes(Spec):
    """Every code of every training image for the first epochs: all fields that the tokenizer's input depends on."""

    VERSION: ClassVar[int] = 2
    IS_COMMON: ClassVar[bool] = True

    kind: Literal["codes"]
    target: Annotated[CodeTarget, Field(discriminator="kind")]
    """The tokenizer."""
    data: Data
    """The data set whose images are tokenized."""
    view_size: PositiveInt
    """Pixels of the tokenizer's view: the patches of a row times the tokenizer's stride."""
    crop_scale_min: float = Field(gt=0.0, le=1.0)
    """The least share of the image in a crop."""
    color_jitter: NonNegativeFloat
    """Strength of the colour jitter."""
    epochs: PositiveInt
    """Epochs whose codes are kept."""
    seed: int = 0
    """Seed of all randomness; `--seeds` sets it, a suite never does."""

    @property
    def num_patches(self) -> int:
        """Codes of an image."""
        return (self.view_size // self.target.stride) ** 2

    @property
    def image_bytes(self) -> int:
        """What an image takes in an epoch: two bytes a code, and a checksum of two."""
        return 2 * (self.num_patches + 1)

    @property
    def epoch_bytes(self) -> int:
        """What an epoch takes."""
        return self.image_bytes * self.data.size.train

    def slug(self, inputs: Inputs, mark: str) -> str:
        """Target, images, epochs, seed."""
        return f"{self.target.kind}-{self.data.name}-{self.epochs}e-s{self.seed}"

    def implied(self, inputs: Inputs) -> dict[str, Job]:
        """Tokenizer and data."""
        return {"tokenizer": self.target.tokenizer_job(), **super().implied(inputs)}

    def multiply_adds(self, inputs: Inputs) -> float:
        """Of all its epochs."""
        return self.tokenize(self.epochs)

    def tokenize(self, epochs: int) -> float:
        """Multiply-adds to compute the codes of some epochs."""
        return self.target.multiply_adds(self.num_patches) * self.data.size.train * epochs

    def disk_bytes(self, inputs: Inputs) -> int:
        """Its codes."""
        return self.epoch_bytes * self.epochs
