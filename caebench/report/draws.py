"""Numbers on few-shot data: several draws of the training images for each seed (ADR 43).

With enough seeds, a seed's value is the mean over its draws, and all else is as on whole data. With fewer, the noise is
that of the draws and of the evaluation set; nothing is then known of the variance over seeds.
"""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from caebench.report.statistics import (
    MIN_SEEDS,
    Estimate,
    combine,
    estimate,
    evaluation_error,
    means_of_draws,
    standard_error,
)

ByDraw = Mapping[int, Mapping[int, float]]  # seed -> draw -> value
Interval = tuple[float, float] | None
MIN_DRAWS = 3  # as seeds: with fewer, the evaluation set's error is all that is known


def complete(found: ByDraw) -> dict[int, dict[int, float]]:
    """The seeds with the most draws, which are the same ones: a mean over other draws is of another number."""
    most = max((frozenset(draws) for draws in found.values()), key=len, default=frozenset[int]())
    return {seed: dict(draws) for seed, draws in found.items() if frozenset(draws) == most and most}


def estimate_draws(found: ByDraw, intervals: Iterable[Interval]) -> Estimate | None:
    """The mean over seeds and draws with its standard error; None without a value.

    `intervals` are the 95 % intervals of the evaluation set, which all runs share.
    """
    kept = complete(found)
    values = {seed: statistics.fmean(draws.values()) for seed, draws in kept.items()}
    error = evaluation_error(intervals)
    base = estimate(values, {})
    if base is None or len(values) >= MIN_SEEDS:
        return base and replace(base, by_draw=kept)
    means = list(means_of_draws(kept).values())
    if len(means) < MIN_DRAWS:
        return replace(base, standard_error=error, by_draw=kept)
    of_draws = Estimate({}, base.mean, standard_error(means), "draws", len(means) - 1)
    of_evaluation = Estimate({}, base.mean, error or 0.0, "evaluation")
    together = combine([(1.0, of_draws), (1.0, of_evaluation)])
    assert together is not None, "both errors are known"
    return Estimate(values, base.mean, together[0], "draws", together[1], kept, error)


def aligned(terms: Sequence[tuple[int, Estimate]]) -> list[tuple[int, Estimate]]:
    """The same cells, each seed's value over the draws that all cells on few-shot data have in common."""
    sets = [frozenset(draws) for _, one in terms for draws in one.by_draw.values()]
    common = frozenset[int].intersection(*sets) if sets else frozenset[int]()
    if not common:
        return list(terms)
    return [(weight, _only(one, common) if one.by_draw else one) for weight, one in terms]


def _only(one: Estimate, draws: frozenset[int]) -> Estimate:
    kept = {seed: {draw: values[draw] for draw in draws} for seed, values in one.by_draw.items()}
    values = {seed: statistics.fmean(of_seed.values()) for seed, of_seed in kept.items()}
    return replace(one, values=values, mean=statistics.fmean(values.values()), by_draw=kept)


def paired_draws(terms: Sequence[tuple[int, Estimate]]) -> tuple[float, float, float] | None:
    """Mean, standard error and degrees of the difference of cells, paired by seed and draw; None if they are not.

    The evaluation set's error is added as if the cells did not share it, which is conservative.
    """
    counting = [(weight, one) for weight, one in terms if weight]
    if not counting or any(one.source != "draws" for _, one in counting):
        return None
    seeds = set[int].intersection(*(set(one.by_draw) for _, one in counting))
    draws = set[int].intersection(*(set(of_seed) for _, one in counting for of_seed in one.by_draw.values()))
    if not seeds or len(draws) < MIN_DRAWS:
        return None
    differences = [
        statistics.fmean(math.fsum(weight * one.by_draw[seed][draw] for weight, one in counting) for seed in seeds)
        for draw in sorted(draws)
    ]
    of_draws = Estimate({}, 0.0, standard_error(differences), "draws", len(differences) - 1)
    of_evaluation = [(float(w), Estimate({}, 0.0, one.evaluation_error or 0.0, "evaluation")) for w, one in counting]
    together = combine([(1.0, of_draws), *of_evaluation])
    assert together is not None, "all errors are known"
    return statistics.fmean(differences), *together


def notes_on_draws(estimates: Iterable[Estimate | None]) -> list[str]:
    """What is said under a table with numbers on few-shot data."""
    found = [one for one in estimates if one is not None and one.by_draw]
    lines: list[str] = []
    if any(one.source == "draws" for one in found):
        lines.append(
            "On few-shot data with fewer than three seeds, +- is the sample standard deviation over draws of the "
            "training images. Marks add the evaluation set's error; neither covers the variance over seeds, so claims "
            "on such numbers are suggested at most."
        )
    if any(one.source in ("seeds", "pooled") for one in found):
        lines.append("On few-shot data the value of a seed is the mean over its draws; +- is over seeds.")
    return lines


def num_draws(estimates: Iterable[Estimate | None]) -> int:
    """The most draws of a seed; 0 where no data are drawn."""
    return max((len(draws) for one in estimates if one is not None for draws in one.by_draw.values()), default=0)
