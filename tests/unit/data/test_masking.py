"""Masks: exact, reproducible, and in blocks where blocks are asked for."""

import numpy as np
import pytest
from skimage.measure import label

from caebench.data.masking import sample_mask
from caebench.data.randomness import Purpose, generator
from caebench.specs.masking import Masking
from caebench.specs.registry import SOURCES


def draw(masking, grid, num_masked, *key):
    return sample_mask(masking, grid, num_masked, generator(Purpose.MASK, *key))


@pytest.mark.parametrize("kind", ["block", "random"])
@pytest.mark.parametrize(("grid", "smallest"), [(14, 16), (6, 3), (12, 12), (4, 16), (2, 1)])
def test_every_mask_has_the_exact_count(kind, grid, smallest):
    for num_masked in {1, grid**2 // 4, grid**2 // 2, grid**2 * 3 // 4, grid**2 - 1}:
        masking = Masking(kind=kind, min_block_patches=smallest)
        for seed in range(40):
            mask = draw(masking, grid, num_masked, seed)
            assert mask.shape == (grid, grid) and mask.sum() == num_masked


@pytest.mark.parametrize("kind", ["block", "random"])
def test_a_sample_keeps_its_mask_and_shares_it_with_no_other(kind):
    masking = Masking(kind=kind)
    mask = draw(masking, 14, 98, 0, 3, 17)
    np.random.random(5)  # global generators play no part
    np.testing.assert_array_equal(draw(masking, 14, 98, 0, 3, 17), mask)
    for key in [(1, 3, 17), (0, 4, 17), (0, 3, 18)]:  # another seed, epoch, index
        assert (draw(masking, 14, 98, *key) != mask).any()


def num_parts(kind):
    masks = [draw(Masking(kind=kind), 14, 98, seed) for seed in range(60)]
    return np.mean([label(mask, connectivity=1).max() for mask in masks])


def test_blocks_hang_together_and_random_masks_do_not():
    assert num_parts("block") < 3
    assert num_parts("random") > 10


def test_every_place_is_masked_now_and_then():
    """Random masks: half of the time everywhere. Blocks reach corners less often, as BEiT's do, but they do."""
    masks = np.stack([draw(Masking(kind="random"), 14, 98, seed) for seed in range(400)])
    assert np.abs(masks.mean(axis=0) - 0.5).max() < 0.12
    blocks = np.stack([draw(Masking(kind="block"), 14, 98, seed) for seed in range(400)])
    assert blocks.any(axis=0).all()


@pytest.mark.parametrize(
    ("ratio", "num_patches", "masked"),
    [(0.75, 196, 147), (0.75, 36, 27), (0.9, 100, 91), (0.6, 196, 118), (0.55, 196, 108), (0.3, 49, 15)],
)
def test_mae_rounds_the_visible_patches_down(ratio, num_patches, masked):
    """`len_keep = int(L * (1 - mask_ratio))`; in binary 100 * (1 - 0.9) is a little less than 10."""
    masking = Masking(kind="random", ratio=ratio, rounding="visible_down")
    assert masking.num_masked(num_patches) == masked == num_patches - int(num_patches * (1 - ratio))


def test_other_methods_take_the_nearest_count():
    assert [Masking(ratio=ratio).num_masked(196) for ratio in (0.5, 75 / 196, 0.4, 0.6)] == [98, 75, 78, 118]
    assert SOURCES["mae"]().method.masking.rounding == "visible_down"
