"""Randomness belongs to the sample, and leaves no trace."""

import random

import numpy as np
import pytest
import torch

from caebench.data.randomness import Purpose, derive, generator, seeded, seeded_everywhere


def draw_everywhere():
    return random.random(), float(np.random.random()), float(torch.rand(()))


@pytest.mark.parametrize("fails", [False, True])
def test_the_global_generators_are_put_back(fails):
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    expected = draw_everywhere()
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.set_rng_state(states[2])
    try:
        with seeded_everywhere(3), seeded(4):
            draw_everywhere()
            if fails:
                raise KeyError
    except KeyError:
        pass
    assert draw_everywhere() == expected


def test_the_same_seed_draws_the_same_whatever_came_before():
    with seeded_everywhere(2**63 - 1):
        first = draw_everywhere()
    draw_everywhere()
    with seeded_everywhere(2**63 - 1):
        assert draw_everywhere() == first


def test_purposes_and_keys_share_no_stream():
    keys = [
        (purpose, seed, epoch, index) for purpose in Purpose for seed in (0, 1) for epoch in (0, 1) for index in (0, 1)
    ]
    assert len({derive(*key) for key in keys}) == len(keys)
    assert len({generator(*key).random() for key in keys}) == len(keys)


def test_a_derived_seed_fits_every_library():
    seeds = [derive(Purpose.VIEW, 0, 0, index) for index in range(1000)]
    assert min(seeds) >= 0 and max(seeds) < 2**63
    assert max(seeds) > 2**60, "all bits are used"
