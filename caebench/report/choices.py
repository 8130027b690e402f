"""Numbers that are the best of several, and the choice that stands for them in every comparison (ADR 13).

The best of n readings of one evaluation set is higher than any of them deserves. So statistics take a choice that was
fixed beforehand, or made on other data; the best is shown next to it, with its n.
"""

from typing import NamedTuple

from caebench.config.base import Config
from caebench.config.dense import LearningRateGrid
from caebench.config.stage import KNN, METRICS, AttentiveProbe, Finetune, LinearProbe, LinearProbeGrid


class Choice(NamedTuple):
    """Two metrics of one result."""

    fixed: str
    best: str
    of: str  # what the best is chosen from: `90 epochs`


def choice(config: Config, metric: str) -> Choice | None:
    """What stands for a metric, and its best; None where nothing was chosen."""
    match config:
        case LinearProbe() | AttentiveProbe() | Finetune() if metric == "top1" and config.selection == "best_epoch":
            return Choice("top1_last_epoch", "top1", f"{config.optimization.epochs} epochs")
        case KNN() if metric == "top1" and len(config.k) > 1:
            return Choice(f"top1_k{config.fixed_k}", "top1", f"{len(config.k)} k")
        case LinearProbeGrid() if metric == "top1":
            return Choice("top1", "top1_best_on_val", f"{len(config.base_lrs) * len(config.features)} heads")
        case LearningRateGrid() if metric == METRICS[type(config.task)][0]:
            return Choice(f"{metric}_median", metric, f"{len(config.rates)} rates")
        case _:
            return None
