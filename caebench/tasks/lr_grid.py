"""Choose among the learning rates of a grid: no training, only the results of the jobs that trained."""

import statistics
from collections.abc import Mapping
from typing import Any

from caebench.files.result import read_result
from caebench.specs.evaluations.lr_grid import LearningRateGrid
from caebench.tasks.intervals import Interval
from caebench.training.run import Run


def select_rate(config: LearningRateGrid, run: Run) -> dict[str, Any]:
    """The numbers of the rate with the highest mIoU, its rate `lr`, the median over rates, and each rate's own.

    The choice is made on the validation images, as the paper's was: the median says what an arbitrary rate gives.
    """
    results = {rate: _read(run, config.role(rate)) for rate in config.rates}
    first = config.chosen_by
    scores = {rate: float(result["metrics"][first]) for rate, result in results.items()}
    best = max(scores, key=lambda rate: scores[rate])
    run.intervals.update(_of_choice(results, scores, best, first))
    chosen = {name: results[best]["metrics"][name] for name in config.task.METRICS}
    every = {f"{first}_{config.role(rate)}": score for rate, score in scores.items()}
    return {**chosen, "lr": best, f"{first}_median": statistics.median(scores.values()), **every}


def _of_choice(
    results: Mapping[float, Any], scores: Mapping[float, float], best: float, first: str
) -> dict[str, Interval]:
    """The chosen job's intervals, and for the median the mean of its one or two jobs'; without jobs' own, none."""
    intervals = {rate: result.get("intervals", {}) for rate, result in results.items()}
    found: dict[str, Interval] = {name: (low, high) for name, (low, high) in intervals[best].items()}
    ranked = sorted(scores, key=lambda rate: scores[rate])
    middle = [intervals[rate] for rate in ranked[(len(ranked) - 1) // 2 : len(ranked) // 2 + 1]]
    if all(first in one for one in middle):
        low, high = (statistics.fmean(ends) for ends in zip(*(one[first] for one in middle), strict=True))
        found[f"{first}_median"] = (low, high)
    return found


def _read(run: Run, role: str) -> dict[str, Any]:
    return read_result(run.inputs[role])
