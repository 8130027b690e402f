"""Interleaved rounds, and ratios within rounds."""

import numpy as np
import pytest

from caebench.bench.timing import Seconds, interleave, paired


def test_things_are_interleaved_and_the_first_changes(device):
    order = []
    things = {name: lambda name=name: order.append(name) for name in "ab"}
    times = interleave(things, device, warm_up=1, repeats=2)
    assert "".join(order) == "ab" + "ba" + "ab"
    assert [len(seconds.rounds) for seconds in times.values()] == [2, 2]


def test_a_ratio_is_of_rounds_not_of_medians():
    """A machine that slows down for both alike changes no ratio."""
    slow = np.array([1.0, 1.0, 5.0, 9.0, 1.0])
    ratio = paired(Seconds(tuple(0.8 * slow)), Seconds(tuple(slow)))
    assert (ratio.median, ratio.low, ratio.high) == pytest.approx((0.8, 0.8, 0.8))


def test_an_interval_holds_the_median():
    rng = np.random.default_rng(0)
    ratio = paired(Seconds(tuple(rng.uniform(1, 2, 15))), Seconds(tuple(rng.uniform(1, 2, 15))))
    assert ratio.low < ratio.median < ratio.high
