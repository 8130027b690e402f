"""Means, standard errors, verdicts, best and second (ADR 13). Pure functions of finished numbers.

Every value, error and interval is in its metric's own unit, as the table shows it. Higher is better.
"""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple

Mark = Literal["best", "second", ""]
NORMAL = statistics.NormalDist().inv_cdf(0.975)  # 1.96: half of a 95 % interval in standard errors
MIN_SEEDS = 3  # from here on the seeds say how much they scatter
PRINTED = 0.05  # half of the last digit of a number printed to a tenth
EXACT = 1e-9  # 64.15 - 64.1 is above 0.05 in binary; a gap of the rounding itself is within it
SMALL = 30  # degrees of freedom up to which Student's t is inverted, not expanded


@dataclass(frozen=True)
class Estimate:
    """A cell's number with its noise."""

    values: Mapping[int, float]  # seed -> value; empty for a published number
    mean: float
    standard_error: float | None  # of the mean; None: unknown
    source: Literal["seeds", "evaluation", "published"]  # where the standard error comes from


class Verdict(NamedTuple):
    """How our number stands to the published one."""

    word: Literal["reproduced", "within noise", "low", "high"]
    gap: float  # ours - published
    noise: float | None  # the gap up to which it is noise, 1.96 standard errors; None: unknown

    def text(self) -> str:
        """The word; where nothing is known of the noise, low and high say so."""
        return f"{self.word}, noise unknown" if self.noise is None and self.word != "reproduced" else self.word


def estimate(values: Mapping[int, float], intervals: Mapping[int, tuple[float, float] | None]) -> Estimate | None:
    """The mean over seeds and its standard error; None without a value.

    `intervals` are the 95 % intervals of the evaluation's own sampling error, by seed, that the jobs stored. They
    count below three seeds, and are averaged: the seeds share the evaluation set, so more seeds make it no larger.
    """
    if not values:
        return None
    mean = statistics.fmean(values.values())
    if len(values) >= MIN_SEEDS:
        return Estimate(values, mean, standard_error(values.values()), "seeds")
    known = [interval for seed in values if (interval := intervals.get(seed)) is not None]
    error = statistics.fmean((high - low) / (2 * NORMAL) for low, high in known) if known else None
    return Estimate(values, mean, error, "evaluation")


def published_estimate(value: float, error: float | None) -> Estimate:
    """A published number, and its standard error where one is known."""
    return Estimate({}, value, error, "published")


def standard_error(values: Iterable[float]) -> float:
    """The sample deviation over the root of n, of at least two values."""
    numbers = list(values)
    return statistics.stdev(numbers) / math.sqrt(len(numbers))


def rounding_of(text: str) -> float:
    """Half of the last digit of a printed number: 0.05 for `64.1`."""
    return 0.5 * 10.0 ** -len(text.partition(".")[2])


def verdict(ours: Estimate, published: float, rounding: float = PRINTED) -> Verdict:
    """Our mean against a published number, printed to `rounding`. Only our own noise counts."""
    gap = ours.mean - published
    noise = None if ours.standard_error is None else NORMAL * ours.standard_error
    if abs(gap) <= rounding + EXACT:
        return Verdict("reproduced", gap, noise)
    if noise is not None and abs(gap) <= noise:
        return Verdict("within noise", gap, noise)
    return Verdict("low" if gap < 0 else "high", gap, noise)


def ranks(estimates: Sequence[Estimate | None]) -> list[Mark]:
    """Best and second of a column, each with whatever is tied with it. No marks where they would say nothing."""
    known = [estimate for estimate in estimates if estimate is not None]
    best = _leaders(known)
    if len(best) == len(known):  # all tie; or there are fewer than two
        return ["" for _ in estimates]
    second = _leaders([estimate for estimate in known if not _among(estimate, best)])
    return ["best" if _among(e, best) else "second" if _among(e, second) else "" for e in estimates]


def _leaders(estimates: Sequence[Estimate]) -> list[Estimate]:
    """The highest, and those tied with it."""
    if not estimates:
        return []
    top = max(estimates, key=lambda estimate: estimate.mean)
    return [estimate for estimate in estimates if _tied(estimate, top)]


def _tied(one: Estimate, other: Estimate) -> bool:
    """Whether the difference is within 1.96 of its standard errors; where one is unknown, only equals tie."""
    errors = [error for error in (one.standard_error, other.standard_error) if error is not None]
    noise = NORMAL * math.hypot(*errors) if len(errors) == 2 else 0.0
    return abs(one.mean - other.mean) <= noise + EXACT


def _among(estimate: Estimate | None, chosen: Sequence[Estimate]) -> bool:
    return any(estimate is one for one in chosen)


@cache
def student_t(degrees: int) -> float:
    """The 97.5 % quantile of Student's t: half of a 95 % interval in standard errors.

    Up to 30 degrees of freedom the distribution is inverted by bisection; beyond, it is expanded around the normal
    quantile (Abramowitz and Stegun, 26.7.5), which is off by less than 1e-7 there.
    """
    if degrees < 1:
        raise ValueError(f"Student's t has no {degrees} degrees of freedom: it needs at least 1, so two seeds.")
    if degrees > SMALL:
        return _expanded(NORMAL, degrees)
    low, high = 0.0, 16.0  # one degree: 12.7
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if _within(middle, degrees) < 0.95 else (low, middle)
    return high


def _within(t: float, degrees: int) -> float:
    """The probability that Student's t is between -t and t (Abramowitz and Stegun, 26.7.3 and 26.7.4)."""
    angle = math.atan(t / math.sqrt(degrees))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = degrees % 2
    term, total = cosine if odd else 1.0, 0.0
    for power in range(odd, degrees - 1, 2):
        total += term
        term *= cosine**2 * (power + 1) / (power + 2)
    return 2 / math.pi * (angle + sine * total) if odd else sine * total


def _expanded(z: float, degrees: int) -> float:
    """Student's quantile from the normal one, z."""
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / degrees**power for power, term in enumerate(terms, 1))
