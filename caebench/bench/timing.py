"""Seconds of things that take turns, and ratios of turns: what a busy or throttled machine disturbs least."""

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import torch

RESAMPLES = 2000


class Seconds(NamedTuple):
    """The times of one thing, turn by turn, without the warm-up."""

    turns: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle turn."""
        return statistics.median(self.turns)


class Ratio(NamedTuple):
    """The median over turns of ours / theirs, and its 95 % interval over resamples of the turns."""

    median: float
    low: float
    high: float


def wait(device: torch.device) -> None:
    """Until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def take_turns(
    things: Mapping[str, Callable[[], object]], device: torch.device, *, warm_up: int, repeats: int
) -> dict[str, Seconds]:
    """Each thing once a turn; every other turn goes backwards, so that none always comes first."""
    turns: dict[str, list[float]] = {name: [] for name in things}
    gc.collect()
    for number in range(warm_up + repeats):
        for name in list(things) if number % 2 == 0 else reversed(list(things)):
            turns[name].append(_seconds(things[name], device))
    return {name: Seconds(tuple(seconds[warm_up:])) for name, seconds in turns.items()}


def _seconds(thing: Callable[[], object], device: torch.device) -> float:
    wait(device)
    started = time.perf_counter()
    thing()
    wait(device)
    return time.perf_counter() - started


def paired(ours: Seconds, theirs: Seconds) -> Ratio:
    """How long ours takes of theirs."""
    ratios = np.array(ours.turns) / np.array(theirs.turns)
    drawn = np.random.default_rng(0).integers(len(ratios), size=(RESAMPLES, len(ratios)))
    low, high = np.percentile(np.median(ratios[drawn], axis=1), (2.5, 97.5))
    return Ratio(float(np.median(ratios)), float(low), float(high))
