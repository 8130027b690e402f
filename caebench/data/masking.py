"""Block-wise and random masks with an exact count (BEiT, arXiv 2106.08254, Algorithm 1; CAE, Sec. 4.1)."""

import math

import numpy as np
from jaxtyping import Bool

from caebench.specs.masking import Masking

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
    missing = num_masked
    while missing > 0:
        missing -= _add_block(mask, masking, missing, rng)
    return mask


def _add_block(mask: np.ndarray, masking: Masking, missing: int, rng: np.random.Generator) -> int:
    """Mask one more block that adds between 1 and `missing` patches, if a try finds one; returns how many it added.

    When fewer patches are missing than the smallest block has, the official code's bounds trade places: the area is
    drawn between the two all the same, and overlap with what is masked already makes the count come out.
    """
    grid = len(mask)
    log_aspect = abs(math.log(masking.min_aspect))
    low, high = sorted((min(masking.min_block_patches, (grid - 1) ** 2), missing))
    for _ in range(ATTEMPTS):
        area = low + (high - low) * rng.random()  # as `uniform` does, in a quarter of its time
        aspect = math.exp(2.0 * log_aspect * rng.random() - log_aspect)
        height, width = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if not (0 < height < grid and 0 < width < grid):
            continue
        top, left = rng.integers(grid - height + 1), rng.integers(grid - width + 1)
        block = mask[top : top + height, left : left + width]
        added = height * width - int(np.count_nonzero(block))
        if 0 < added <= missing:
            block[:] = True
            return added
    return 0
