"""Choose among the learning rates of a grid: no training, only the results of the jobs that trained."""

import json
import statistics
from typing import Any

from caebench.config.dense import LearningRateGrid
from caebench.config.stage import METRICS, RESULT
from caebench.training.run import Run


def select_rate(config: LearningRateGrid, run: Run) -> dict[str, Any]:
    """The numbers of the rate with the highest mIoU, its rate `lr`, the median over rates, and each rate's own.

    The choice is made on the validation images, as the paper's was: the median says what an arbitrary rate gives.
    """
    of_rate = {rate: _metrics(run, config.role(rate)) for rate in config.rates}
    first = METRICS[type(config.task)][0]
    scores = {rate: float(metrics[first]) for rate, metrics in of_rate.items()}
    best = max(scores, key=lambda rate: scores[rate])
    chosen = {name: of_rate[best][name] for name in METRICS[type(config.task)]}
    every = {f"{first}_{config.role(rate)}": score for rate, score in scores.items()}
    return {**chosen, "lr": best, f"{first}_median": statistics.median(scores.values()), **every}


def _metrics(run: Run, role: str) -> dict[str, Any]:
    return json.loads((run.inputs[role] / RESULT).read_text(encoding="utf8"))["metrics"]
