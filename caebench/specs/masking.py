"""Masks: which patches of an image are masked."""

from typing import Literal

from pydantic import Field, PositiveInt

from caebench.specs.base import Config
from caebench.specs.scale import PAPER_IMAGE_SIZE


class Masking(Config):
    """Which patches are masked: an exact count, the same for every image."""

    kind: Literal["block", "random"] = "block"
    """What is masked: blocks of patches, or single patches."""
    ratio: float = Field(default=0.5, gt=0.0, lt=1.0)
    """Share of the patches that is masked; in CAE 98 of 196 (Sec. 4.1)."""
    min_block_patches: PositiveInt = 16
    """The fewest patches of a block; official --min_mask_patches_per_block."""
    min_aspect: float = Field(default=0.3, gt=0.0, le=1.0)
    """The least aspect ratio of a block, the largest is its inverse; official masking_generator.py."""
    rounding: Literal["nearest", "visible_down"] = "nearest"
    """How the count is rounded; `visible_down`: MAE keeps int(patches * (1 - ratio))."""

    def num_masked(self, num_patches: int) -> int:
        """Masked patches of an image."""
        if self.rounding == "visible_down":
            return num_patches - int(num_patches * (1 - self.ratio))
        return round(self.ratio * num_patches)

    def shrunk(self, grid: int) -> "Masking":
        """For an encoder with `grid` patches a side: blocks keep their share of the image."""
        share = self.min_block_patches * grid**2 / (PAPER_IMAGE_SIZE // 16) ** 2
        return self.replace(min_block_patches=max(1, round(share)))
