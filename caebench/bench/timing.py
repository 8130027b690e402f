"""Interleaved timings and the ratios within rounds, which are least affected by a busy or throttled machine."""

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import torch

RESAMPLES = 2000


class Seconds(NamedTuple):
    """The times of one function, round by round, without the warm-up."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median round."""
        return statistics.median(self.rounds)


class Ratio(NamedTuple):
    """The median over rounds of ours / theirs, with a 95 % interval from resampling the rounds."""

    median: float
    low: float
    high: float


def wait(device: torch.device) -> None:
    """Wait until the device has finished."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def interleave(
    things: Mapping[str, Callable[[], object]], device: torch.device, *, warm_up: int, repeats: int
) -> dict[str, Seconds]:
    """Run each function once per round, in reverse order in every other round, so that none always runs first."""
    rounds: dict[str, list[float]] = {name: [] for name in things}
    gc.collect()
    for number in range(warm_up + repeats):
        for name in list(things) if number % 2 == 0 else reversed(list(things)):
            rounds[name].append(_seconds(things[name], device))
    return {name: Seconds(tuple(seconds[warm_up:])) for name, seconds in rounds.items()}


def _seconds(thing: Callable[[], object], device: torch.device) -> float:
    wait(device)
    started = time.perf_counter()
    thing()
    wait(device)
    return time.perf_counter() - started


def paired(ours: Seconds, theirs: Seconds) -> Ratio:
    """The ratio of our times to theirs, paired by round."""
    ratios = np.array(ours.rounds) / np.array(theirs.rounds)
    drawn = np.random.default_rng(0).integers(len(ratios), size=(RESAMPLES, len(ratios)))
    low, high = np.percentile(np.median(ratios[drawn], axis=1), (2.5, 97.5))
    return Ratio(float(np.median(ratios)), float(low), float(high))
