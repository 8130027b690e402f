"""Block-wise and random masks with an exact count (BEiT, arXiv 2106.08254, Algorithm 1; CAE, Sec. 4.1)."""

import math

import numpy as np
from jaxtyping import Bool

from caebench.config.method import Masking

ATTEMPTS = 10  # placements tried for one block before another is drawn; official masking_generator.py


def sample_mask(
    masking: Masking, grid: int, num_masked: int, rng: np.random.Generator
) -> Bool[np.ndarray, "grid grid"]:
    """A mask (True = masked) of exactly `num_masked` patches."""
    if masking.kind == "random":
        mask = np.zeros(grid * grid, dtype=bool)
        mask[rng.permutation(grid * grid)[:num_masked]] = True
        return mask.reshape(grid, grid)
    mask = np.zeros((grid, grid), dtype=bool)
    while (missing := num_masked - int(mask.sum())) > 0:
        _add_block(mask, masking, missing, rng)
    return mask


def _add_block(mask: np.ndarray, masking: Masking, missing: int, rng: np.random.Generator) -> None:
    """Mask one more block that adds between 1 and `missing` patches, if a try finds one.

    When fewer patches are missing than the smallest block has, the official code's bounds trade places: the area is
    drawn between the two all the same, and overlap with what is masked already makes the count come out.
    """
    grid = len(mask)
    log_aspect = abs(math.log(masking.min_aspect))
    for _ in range(ATTEMPTS):
        area = rng.uniform(*sorted((min(masking.min_block_patches, (grid - 1) ** 2), missing)))
        aspect = math.exp(rng.uniform(-log_aspect, log_aspect))
        height, width = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if not (0 < height < grid and 0 < width < grid):
            continue
        top, left = rng.integers(grid - height + 1), rng.integers(grid - width + 1)
        block = mask[top : top + height, left : left + width]
        if 0 < height * width - int(block.sum()) <= missing:
            block[:] = True
            return
