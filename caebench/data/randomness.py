"""All randomness of a sample comes from (seed, epoch, sample index), and from the purpose it serves.

So a sample gets the same crop, mask and stochastic depth on any number of processes, fresh or resumed, and whatever
else drew numbers before it.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any

import numpy as np
import torch


class Purpose(IntEnum):
    """Streams that must not share numbers."""

    ORDER = 0
    VIEW = 1
    MASK = 2
    DEPTH = 3
    MIXING = 4
    GUMBEL = 5
    INITIALISATION = 6
    BOOTSTRAP = 7
    HOLD_OUT = 8
    FEW_SHOT = 9


def generator(purpose: Purpose, seed: int, *keys: int) -> np.random.Generator:
    """A generator of its own for this purpose, seed and keys."""
    return np.random.default_rng(_entropy(purpose, seed, *keys))


def derive(purpose: Purpose, seed: int, *keys: int) -> int:
    """A 63-bit seed for libraries that want one number."""
    low, high = np.random.SeedSequence(_entropy(purpose, seed, *keys)).generate_state(2)
    return (int(high) << 32 | int(low)) >> 1


def _entropy(*numbers: int) -> Any:
    """The numbers as NumPy takes them soonest: it makes the same of either."""
    return np.array(numbers, np.uint32) if max(numbers) < 2**32 else list(numbers)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's global generator, which torchvision draws from, and put it back as it was."""
    state = torch.get_rng_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(state)


@contextmanager
def seeded_everywhere(seed: int) -> Iterator[None]:
    """Seed Python's and NumPy's global generators too, which timm draws from; slower than `seeded`."""
    states = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    try:
        with seeded(seed):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
