"""How far a published number is from the truth by chance alone."""

import math
import statistics
from collections import defaultdict
from functools import cache
from typing import NamedTuple

from caebench.published.sets import read_set

RERUNS = ("official", "official-first")  # by the authors themselves


class Noise(NamedTuple):
    """The standard error of a published number, in its unit, and its degrees of freedom."""

    error: float | None  # None: nothing is known of it
    degrees: float = math.inf


@cache
def noise(metric: str) -> Noise:
    """How far a published number of this metric scatters from run to run.

    One rule for accuracies, mIoU and AP: the pooled deviation of the paper's numbers and the authors' re-runs of the
    same cells, sqrt(sum over cells and numbers of (x - mean of the cell)^2 / sum over cells of (numbers - 1)). Where
    each cell has two numbers, that is the root mean square of their differences over sqrt(2). The evaluation set is the
    same in all of them, so its sampling error is not in it.
    """
    cells = [values for values in _same_cells(metric) if len(values) > 1]
    degrees = sum(len(values) - 1 for values in cells)
    if not degrees:
        return Noise(None)
    squares = math.fsum((len(values) - 1) * statistics.variance(values) for values in cells)
    return Noise(math.sqrt(squares / degrees), degrees)


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
