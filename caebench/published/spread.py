"""How far a published number is from the truth by chance alone."""

import math
import statistics
from collections import defaultdict
from collections.abc import Mapping
from functools import cache

from caebench.config.data import REAL_SIZES, DatasetName
from caebench.published.sets import read_set

RERUNS = ("official", "official-first")  # by the authors themselves
ACCURACIES: Mapping[str, DatasetName] = {
    "LIN": "imagenet1k",
    "ATT": "imagenet1k",
    "FT": "imagenet1k",
    "Food-101": "food101",
    "Clipart": "clipart",
    "Sketch": "sketch",
}
SPREADS = ("mIoU", "AP_box", "AP_mask")


def noise(metric: str, value: float) -> float | None:
    """The standard error of a published number, in its unit; None where nothing is known of it.

    A top-1 accuracy p in percent: sqrt(p (100 - p) / n), binomial over the n validation images (ImageNet: 50,000).
    mIoU and AP: the pooled deviation of the paper's numbers and the authors' own re-runs of the same cells,
    sqrt(sum over cells and numbers of (x - mean of the cell)^2 / sum over cells of (numbers - 1)). Where each cell has
    two numbers, that is the root mean square of their differences over sqrt(2).
    """
    if metric in SPREADS:
        return _pooled_deviation(metric)
    if metric not in ACCURACIES or not 0.0 <= value <= 100.0:
        return None
    return math.sqrt(value * (100.0 - value) / REAL_SIZES[ACCURACIES[metric]].val)


@cache
def _pooled_deviation(metric: str) -> float | None:
    cells = [values for values in _same_cells(metric) if len(values) > 1]
    if not cells:
        return None
    squares = sum((len(values) - 1) * statistics.variance(values) for values in cells)
    return math.sqrt(squares / sum(len(values) - 1 for values in cells))


def _same_cells(metric: str) -> list[list[float]]:
    """The numbers of each cell that the authors ran again; the paper's own counts once, in however many tables."""
    found: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for name in RERUNS:
        rerun = read_set(name)
        for row_id, mirrored in rerun.mirrors.items():
            number = rerun.find(row_id, metric)
            if mirrored and number is not None and number.value is not None:
                found[mirrored].append(number.value)
    for mirrored, values in found.items():
        printed = [read_set("paper").find(row_id, metric) for row_id in mirrored]
        values += [number.value for number in printed if number is not None and number.value is not None][:1]
    return list(found.values())
