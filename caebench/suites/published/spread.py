"""The noise of published numbers, from run to run."""

import math
import statistics
from collections import defaultdict
from functools import cache
from typing import NamedTuple

from caebench.suites.published.sets import read_set

RERUNS = ("official", "official-first")  # by the authors themselves


class Noise(NamedTuple):
    """The standard error of a published number, in its unit, and its degrees of freedom."""

    error: float | None  # None: unknown
    degrees: float = math.inf


@cache
def noise(metric: str) -> Noise:
    """The deviation of published numbers of this metric from run to run.

    There is one rule for accuracies, mIoU and AP: the pooled deviation of the paper's numbers and the authors' re-runs
    of the same cells, sqrt(sum over cells and numbers of (x - mean of the cell)^2 / sum over cells of (numbers - 1)).
    If each cell has two numbers, that is the root mean square of their differences over sqrt(2). The evaluation set is
    the same in all of them, so its sampling error is not included.
    """
    cells = [values for values in _same_cells(metric) if len(values) > 1]
    degrees = sum(len(values) - 1 for values in cells)
    if not degrees:
        return Noise(None)
    squares = math.fsum((len(values) - 1) * statistics.variance(values) for values in cells)
    return Noise(math.sqrt(squares / degrees), degrees)


def _same_cells(metric: str) -> list[list[float]]:
    """The numbers of each cell that the authors re-ran; the paper's own counts once, even if in several tables."""
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
