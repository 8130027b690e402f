"""Means, standard errors, verdicts, best and second (ADR 13). Pure functions of finished numbers.

Every value, error and interval is in its metric's own unit, as the table shows it. Higher is better.
"""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Literal, NamedTuple

from scipy.special import ndtri, stdtrit  # pyright: ignore[reportMissingTypeStubs] SciPy ships no types

Mark = Literal["best", "second", ""]
# Where a standard error comes from: the cell's own seeds; two seeds, with the deviation pooled over the column; the
# evaluation set alone, without the variance over seeds; what is known of published numbers.
# few-shot data with too few seeds: draws and evaluation set (ADR 43).
Source = Literal["seeds", "pooled", "draws", "evaluation", "published"]
LEVEL = 0.05  # of every test; intervals are of 95 %
MIN_SEEDS = 3  # with at least this many, the seeds' own deviation is used
MIN_POOLED = 2  # degrees of freedom of a column's deviation: one would give an interval of 12.7 standard errors
PRINTED = 0.05  # half of the last digit of a number printed to a tenth
EXACT = 1e-9  # 64.15 - 64.1 is above 0.05 in binary; a gap of the rounding itself is within it


@dataclass(frozen=True)
class Estimate:
    """A cell's number and its noise."""

    values: Mapping[int, float]  # seed -> value, on few-shot data the mean over draws; empty for a published number
    mean: float
    standard_error: float | None  # of the mean; None: unknown
    source: Source  # of the standard error
    degrees: float = math.inf  # of freedom of the standard error
    by_draw: Mapping[int, Mapping[int, float]] = field(default_factory=dict[int, Mapping[int, float]])  # seed -> draw
    evaluation_error: float | None = None  # of the evaluation set alone, where the source is draws

    @property
    def runs(self) -> list[tuple[int, int | None, float]]:
        """Seed, draw and value of each number that counts; no draw on whole data."""
        if not self.by_draw:
            return [(seed, None, value) for seed, value in self.values.items()]
        return [(seed, draw, value) for seed, draws in self.by_draw.items() for draw, value in draws.items()]

    @property
    def deviation(self) -> float | None:
        """Of one run; over draws, where the source is draws."""
        if self.source == "draws":
            return statistics.stdev(means_of_draws(self.by_draw).values())
        if self.standard_error is None or self.source not in ("seeds", "pooled"):
            return self.standard_error
        return self.standard_error * math.sqrt(len(self.values))


class Verdict(NamedTuple):
    """How our number compares with the published one."""

    word: Literal["reproduced", "within noise", "low", "high"]
    gap: float  # ours - published
    noise: float | None  # the gap up to which it is noise, at 95 %; None: unknown
    source: Source = "seeds"  # of the noise

    def text(self) -> str:
        """The word, and what the noise does not cover."""
        if self.word == "reproduced":
            return self.word
        if self.noise is None:
            return f"{self.word}, noise unknown"
        return f"{self.word}, by the evaluation set alone" if self.source == "evaluation" else self.word


# ---- numbers and their noise ----------------------------------------------------------------------------------------


def estimate(values: Mapping[int, float], intervals: Mapping[int, tuple[float, float] | None]) -> Estimate | None:
    """The mean over seeds and its standard error; None without a value.

    `intervals` are the 95 % intervals of the evaluation's own sampling error, by seed, that the jobs stored. They are
    used with fewer than three seeds, and averaged: seeds share the evaluation set, so more of them add no images.
    """
    if not values:
        return None
    mean = statistics.fmean(values.values())
    if len(values) >= MIN_SEEDS:
        return Estimate(values, mean, standard_error(values.values()), "seeds", len(values) - 1)
    return Estimate(values, mean, evaluation_error(intervals.get(seed) for seed in values), "evaluation")


def evaluation_error(intervals: Iterable[tuple[float, float] | None]) -> float | None:
    """The evaluation set's standard error from 95 % intervals, averaged; None if none is known."""
    known = [interval for interval in intervals if interval is not None]
    return statistics.fmean((high - low) / (2 * student_t(math.inf)) for low, high in known) if known else None


def means_of_draws(by_draw: Mapping[int, Mapping[int, float]]) -> dict[int, float]:
    """The mean over seeds of each draw; every seed has the same draws."""
    draws = next(iter(by_draw.values()), dict[int, float]())
    return {draw: statistics.fmean(values[draw] for values in by_draw.values()) for draw in draws}


def pool(column: Sequence[Estimate | None]) -> list[Estimate | None]:
    """A column in which numbers of two seeds have the deviation pooled over the column.

    This assumes that its rows have equal variance: they share evaluation, data and metric. If the column has fewer than
    two degrees of freedom nothing is pooled, and two seeds are treated as one.
    """
    several = [list(one.values.values()) for one in column if one is not None and len(one.values) > 1]
    degrees = sum(len(values) - 1 for values in several)
    if degrees < MIN_POOLED:
        return list(column)
    squares = math.fsum((len(values) - 1) * statistics.variance(values) for values in several)
    error = math.sqrt(squares / degrees / 2)
    return [
        replace(one, standard_error=error, source="pooled", degrees=degrees)
        if one is not None and len(one.values) == 2
        else one
        for one in column
    ]


def published_estimate(value: float, error: float | None, degrees: float = math.inf) -> Estimate:
    """A published number, and its standard error if one is known."""
    return Estimate({}, value, error, "published", degrees)


def standard_error(values: Iterable[float]) -> float:
    """The sample deviation over the root of n, of at least two values."""
    numbers = list(values)
    return statistics.stdev(numbers) / math.sqrt(len(numbers))


def rounding_of(text: str) -> float:
    """Half of the last digit of a printed number: 0.05 for `64.1`."""
    return 0.5 * 10.0 ** -len(text.partition(".")[2])


@cache
def student_t(degrees: float, level: float = LEVEL) -> float:
    """Half of an interval in standard errors: two-sided, at `level`; infinite degrees of freedom are the normal's.

    Raises:
        ValueError: there is less than one degree of freedom.
    """
    if degrees < 1:
        raise ValueError(f"Student's t has no {degrees} degrees of freedom: it needs at least 1, so two seeds.")
    upper = 1 - level / 2
    return float(ndtri(upper) if math.isinf(degrees) else stdtrit(degrees, upper))


def combine(terms: Sequence[tuple[float, Estimate]]) -> tuple[float, float] | None:
    """The standard error of a weighted sum, and its degrees of freedom; None if a term's error is unknown.

    Welch-Satterthwaite. Errors from one pooled deviation count as one component, because they are not independent.
    """
    components: dict[object, tuple[float, float]] = {}
    for number, (weight, one) in enumerate(terms):
        if one.standard_error is None:
            return None
        key = (one.degrees, one.deviation) if one.source in ("pooled", "published") else number
        variance = components.get(key, (0.0, one.degrees))[0] + (weight * one.standard_error) ** 2
        components[key] = variance, one.degrees
    variance = math.fsum(part for part, _ in components.values())
    scatter = math.fsum(part**2 / degrees for part, degrees in components.values())
    return math.sqrt(variance), max(1.0, variance**2 / scatter) if scatter else math.inf


# ---- compared with a published number --------------------------------------------------------------------------------


def verdict(ours: Estimate, published: float, rounding: float = PRINTED) -> Verdict:
    """Our mean compared with a published number, printed to `rounding`: one run with the same variance as ours.

    So the gap is noise up to a prediction interval, t sd sqrt(1 + 1 / n), plus the rounding. With one seed the
    evaluation set's error replaces the deviation.
    """
    gap = ours.mean - published
    noise = None
    if ours.standard_error is not None and ours.deviation is not None:
        noise = student_t(ours.degrees) * math.hypot(ours.standard_error, ours.deviation)
    if abs(gap) <= rounding + EXACT:
        return Verdict("reproduced", gap, noise, ours.source)
    if noise is not None and abs(gap) <= noise + rounding + EXACT:
        return Verdict("within noise", gap, noise, ours.source)
    return Verdict("low" if gap < 0 else "high", gap, noise, ours.source)


# ---- within a column ------------------------------------------------------------------------------------------------


def ranks(estimates: Sequence[Estimate | None]) -> list[Mark]:
    """Best, with the rows tied with it, and second, if exactly one row is. No marks if all rows tie.

    The best is chosen after looking at all rows, so another row is lower only at a level of 0.05 over the number of
    pairs of rows (Bonferroni, with Welch's t): if all rows are equal, at most one column of twenty marks a difference.
    """
    known = [estimate for estimate in estimates if estimate is not None]
    level = LEVEL / max(1, math.comb(len(known), 2))
    best = _leaders(known, level)
    if len(best) == len(known):  # all tie, or there are fewer than two
        return ["" for _ in estimates]
    second = _leaders([estimate for estimate in known if not _among(estimate, best)], level)
    second = second if len(second) == 1 else []
    return ["best" if _among(e, best) else "second" if _among(e, second) else "" for e in estimates]


def _leaders(estimates: Sequence[Estimate], level: float) -> list[Estimate]:
    """The highest, and those tied with it."""
    if not estimates:
        return []
    top = max(estimates, key=lambda estimate: estimate.mean)
    return [estimate for estimate in estimates if _tied(estimate, top, level)]


def _tied(one: Estimate, other: Estimate, level: float) -> bool:
    """Whether a test at this level does not tell them apart; if an error is unknown, only equal numbers tie."""
    gap, noise = abs(one.mean - other.mean), combine([(1.0, one), (-1.0, other)])
    if noise is None or gap <= EXACT:
        return gap <= EXACT
    error, degrees = noise
    if gap <= student_t(math.inf, level) * error:  # Student's t is never smaller
        return True
    return gap <= student_t(degrees, level) * error


def _among(estimate: Estimate | None, chosen: Sequence[Estimate]) -> bool:
    return any(estimate is one for one in chosen)
