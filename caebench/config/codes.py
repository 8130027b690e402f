"""A tokenizer's codes, computed once for the pretrainings that would each compute the same (ADR 19)."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveInt

from caebench.config.base import Config
from caebench.config.data import Data, size_of
from caebench.config.method import DALLETarget, DVAETarget

CODES = "codes"  # the role of a cache beside a pretraining


class Codes(Config):
    """Every code of every training image for the first epochs: all fields that the tokenizer's input depends on."""

    kind: Literal["codes"]
    target: Annotated[DALLETarget | DVAETarget, Field(discriminator="kind")]
    data: Data
    view_size: PositiveInt  # of the tokenizer's view: the patches of a row times the tokenizer's stride
    crop_scale_min: float = Field(gt=0.0, le=1.0)
    color_jitter: NonNegativeFloat
    epochs: PositiveInt
    seed: int = 0

    @property
    def num_patches(self) -> int:
        """Codes of an image."""
        return (self.view_size // stride(self.target)) ** 2

    @property
    def image_bytes(self) -> int:
        """What an image takes in an epoch: two bytes a code, and a checksum of two."""
        return 2 * (self.num_patches + 1)

    @property
    def epoch_bytes(self) -> int:
        """What an epoch takes."""
        return self.image_bytes * size_of(self.data).train


def stride(target: DALLETarget | DVAETarget) -> int:
    """Pixels of the tokenizer's view to a code, along a side."""
    return 8 if isinstance(target, DALLETarget) else 2**target.tokenizer.num_downsamplings
