"""Claims: what a sentence of the paper says of cells, judged on numbers and their noise (ADR 13).

`look_up` gives a cell's estimate, ours or the published one: the same check runs on both.
"""

import bisect
import math
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from caebench.config.claim import CellName, Claim, ClaimPart
from caebench.report.statistics import NORMAL, Estimate, standard_error, student_t

LookUp = Callable[[CellName], Estimate | None]
Status = Literal["held", "contradicted", "undecided", "untestable"]
MAX_SEEDS = 10_000  # more will never be run: the claim stays undecided
ROUNDING = 1e-6  # 8 degrees of freedom are not 7.9999999


@dataclass(frozen=True)
class PartResult:
    """One comparison of a claim. Differences are in the columns' unit; None where a cell has no number."""

    part: ClaimPart
    status: Status
    difference: float | None = None  # sum of `more` minus sum of `than`
    low: float | None = None  # the 95 % interval; None too where a cell's noise is unknown
    high: float | None = None
    num_seeds: int = 0  # that every cell has
    paired: bool = False  # the interval is that of the differences by seed
    seeds_to_decide: int | None = None  # if mean and deviation stayed; None: decided, unknown, or too many
    missing: tuple[str, ...] = ()  # cells without a number


@dataclass(frozen=True)
class Judgement:
    """What the numbers say of a claim."""

    claim: Claim
    status: Status
    parts: tuple[PartResult, ...]


def judge(claim: Claim, look_up: LookUp) -> Judgement:
    """A claim is contradicted if a part is, held if all are, and untestable if a cell has no number."""
    parts = tuple(_judge_part(part, look_up) for part in claim.parts)
    found = {part.status for part in parts}
    for status in ("contradicted", "untestable", "undecided"):
        if status in found:
            return Judgement(claim, status, parts)
    return Judgement(claim, "held", parts)


def describe(judgement: Judgement) -> str:
    """A judgement in a line: sentence, place, status, and each part's difference."""
    claim = judgement.claim
    parts = "; ".join(_describe_part(part) for part in judgement.parts)
    return f"{claim.says} ({claim.place}): {judgement.status}. {parts}"


def _judge_part(part: ClaimPart, look_up: LookUp) -> PartResult:
    weights = _weights(part)
    found = {cell: look_up(CellName.parse(cell)) for cell in weights}
    estimates = {cell: estimate for cell, estimate in found.items() if estimate is not None}
    if len(estimates) < len(found):
        missing = tuple(cell for cell, estimate in found.items() if estimate is None)
        return PartResult(part, "untestable", missing=missing)
    terms = [(weight, estimates[cell]) for cell, weight in weights.items()]
    seeds = _common_seeds(estimates)
    return _judge_paired(part, terms, seeds) if len(seeds) > 1 else _judge_unpaired(part, terms, len(seeds))


def _weights(part: ClaimPart) -> dict[str, int]:
    """How often each cell counts in the difference; a cell on both sides counts for nothing, but must be there."""
    weights = Counter(part.more)
    weights.subtract(part.than)
    return dict(weights)


def _common_seeds(estimates: Mapping[str, Estimate]) -> list[int]:
    """The seeds that every cell has."""
    return sorted(set[int].intersection(*(set(estimate.values) for estimate in estimates.values())))


def _judge_paired(part: ClaimPart, terms: Sequence[tuple[int, Estimate]], seeds: Sequence[int]) -> PartResult:
    """By the differences of the seeds that all cells have: what a seed does to all of them alike drops out."""
    differences = [sum(weight * estimate.values[seed] for weight, estimate in terms) for seed in seeds]
    mean = statistics.fmean(differences)
    half = student_t(len(seeds) - 1) * standard_error(differences)
    status = _decide(part, mean - half, mean + half)
    needed = _seeds_to_decide(part, mean, statistics.stdev(differences)) if status == "undecided" else None
    return PartResult(part, status, mean, mean - half, mean + half, len(seeds), True, needed)


def _judge_unpaired(part: ClaimPart, terms: Sequence[tuple[int, Estimate]], num_seeds: int) -> PartResult:
    """By the cells' own standard errors, as if independent: on one evaluation set that is on the safe side."""
    mean = sum(weight * estimate.mean for weight, estimate in terms)
    errors = [
        weight * estimate.standard_error for weight, estimate in terms if weight and estimate.standard_error is not None
    ]
    if len(errors) < sum(weight != 0 for weight, _ in terms):
        return PartResult(part, "undecided", mean, num_seeds=num_seeds)
    half = _quantile(terms) * math.hypot(*errors)
    return PartResult(part, _decide(part, mean - half, mean + half), mean, mean - half, mean + half, num_seeds)


def _quantile(terms: Sequence[tuple[int, Estimate]]) -> float:
    """Student's t at Welch and Satterthwaite's degrees of freedom; the normal one where no error comes from seeds."""
    errors = [(weight * (known.standard_error or 0.0), known) for weight, known in terms]
    scatter = sum(error**4 / (len(known.values) - 1) for error, known in errors if known.source == "seeds")
    if not scatter:
        return NORMAL
    return student_t(max(1, int(sum(error**2 for error, _ in errors) ** 2 / scatter + ROUNDING)))


def _decide(part: ClaimPart, low: float, high: float) -> Status:
    """Whether all of an interval satisfies a part, none of it, or some."""
    if part.within is not None:
        holds = -part.within <= low and high <= part.within
        fails = low > part.within or high < -part.within
    else:
        holds, fails = low > part.by, high < part.by
    return "held" if holds else "contradicted" if fails else "undecided"


def _seeds_to_decide(part: ClaimPart, mean: float, deviation: float) -> int | None:
    """The fewest seeds whose interval, at this mean and deviation, leaves the threshold out."""
    distance = abs(mean - part.by) if part.within is None else abs(abs(mean) - part.within)

    def decides(num_seeds: int) -> bool:
        return student_t(num_seeds - 1) * deviation / math.sqrt(num_seeds) < distance

    fewest = bisect.bisect_left(range(2, MAX_SEEDS + 1), True, key=decides) + 2
    return fewest if fewest <= MAX_SEEDS else None


def _describe_part(result: PartResult) -> str:
    """`A/linear over B/linear: +0.40 [-0.20, +1.00], 3 paired seeds, 9 would decide it`."""
    question = _describe_question(result.part)
    if result.difference is None:
        return f"{question}: no number for {', '.join(result.missing)}"
    if result.low is None:
        return f"{question}: {result.difference:+.2f}, noise unknown"
    interval = f"{result.difference:+.2f} [{result.low:+.2f}, {result.high:+.2f}]"
    seeds = f", {result.num_seeds} paired seeds" if result.paired else ""
    needed = f", {result.seeds_to_decide} would decide it" if result.seeds_to_decide else ""
    return f"{question}: {interval}{seeds}{needed}"


def _describe_question(part: ClaimPart) -> str:
    more, than = " + ".join(part.more), " + ".join(part.than)
    if part.within is not None:
        return f"{more} within {part.within:g} of {than}"
    return f"{more} over {than}" + (f" by {part.by:g}" if part.by else "")
