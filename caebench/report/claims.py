"""Claims: what a statement of the paper says about cells, judged on numbers and their noise (ADR 13).

`look_up` gives a cell's estimate, ours or the published one: the same check runs on both.
"""

import bisect
import math
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from caebench.report.draws import aligned, paired_draws
from caebench.report.statistics import LEVEL, MIN_SEEDS, Estimate, Source, combine, standard_error, student_t
from caebench.suites.claims import CellName, Claim, ClaimPart

LookUp = Callable[[CellName], Estimate | None]
Status = Literal["contradicted", "untestable", "suggested against", "undecided", "suggested", "held"]
ORDER: tuple[Status, ...] = get_args(Status)  # a claim has the first status that one of its parts has
Noise = Literal[
    "paired seeds", "seeds", "pooled seeds", "paired draws", "draws", "evaluation set alone", "published", "unknown"
]
MAX_SEEDS = 10_000  # more will never be run: the claim stays undecided


@dataclass(frozen=True)
class PartResult:
    """One comparison of a claim. Differences are in the columns' unit; None where a cell has no number."""

    part: ClaimPart
    status: Status
    difference: float | None = None  # sum of `higher` minus sum of `lower`
    low: float | None = None  # the 95 % interval; also None if a cell's noise is unknown
    high: float | None = None
    num_seeds: int = 0  # of the cell with the fewest; 0: published numbers
    noise: Noise = "unknown"  # what the interval covers
    seeds_to_decide: int | None = None  # if mean and deviation stay the same; None: decided, unknown, or too many
    missing: tuple[str, ...] = ()  # cells without a number

    @property
    def paired(self) -> bool:
        """Whether the interval is that of the differences by seed."""
        return self.noise == "paired seeds"


@dataclass(frozen=True)
class Judgement:
    """What the numbers say about a claim."""

    claim: Claim
    status: Status
    parts: tuple[PartResult, ...]


def judge(claim: Claim, look_up: LookUp) -> Judgement:
    """A claim is contradicted if a part is, held if all are, and untestable if a cell has no number.

    Any part can contradict the claim, so for `contradicted` each part is tested at 0.05 divided by their number. All
    parts must hold for the claim to hold, so for `held` each part is tested at 0.05.
    """
    parts = tuple(_judge_part(part, look_up, LEVEL / len(claim.parts)) for part in claim.parts)
    return Judgement(claim, ORDER[min(ORDER.index(part.status) for part in parts)], parts)


def describe(judgement: Judgement) -> str:
    """A judgement in one line: statement, section, status, and each part's difference."""
    claim = judgement.claim
    parts = "; ".join(_describe_part(part) for part in judgement.parts)
    return f"{claim.statement} ({claim.section}): {judgement.status}. {parts}"


def _judge_part(part: ClaimPart, look_up: LookUp, against: float) -> PartResult:
    weights = _weights(part)
    found = {cell: look_up(CellName.parse(cell)) for cell in weights}
    estimates = {cell: estimate for cell, estimate in found.items() if estimate is not None}
    if len(estimates) < len(found):
        missing = tuple(cell for cell, estimate in found.items() if estimate is None)
        return PartResult(part, "untestable", missing=missing)
    terms = aligned([(weight, estimates[cell]) for cell, weight in weights.items()])
    seeds = _common_seeds(estimates)
    if len(seeds) >= MIN_SEEDS:
        return _judge_paired(part, terms, seeds, against)
    if (paired := paired_draws(terms)) is not None:
        return _judge_drawn(part, terms, Difference(*paired), against)
    return _judge_unpaired(part, terms, against)


def _weights(part: ClaimPart) -> dict[str, int]:
    """How often each cell counts in the difference; a cell on both sides has weight 0, but must have a number."""
    weights = Counter(part.higher)
    weights.subtract(part.lower)
    return dict(weights)


def _common_seeds(estimates: Mapping[str, Estimate]) -> list[int]:
    """The seeds that every cell has."""
    return sorted(set[int].intersection(*(set(estimate.values) for estimate in estimates.values())))


def _judge_paired(
    part: ClaimPart, terms: Sequence[tuple[int, Estimate]], seeds: Sequence[int], against: float
) -> PartResult:
    """By the differences for each common seed: an effect of the seed that all cells share cancels."""
    differences = [math.fsum(weight * estimate.values[seed] for weight, estimate in terms) for seed in seeds]
    difference = Difference(statistics.fmean(differences), standard_error(differences), len(seeds) - 1)
    status = _decide(part, difference, against)
    deviation = statistics.stdev(differences)
    needed = _seeds_to_decide(part, difference.mean, deviation, against) if status == "undecided" else None
    return PartResult(part, status, difference.mean, *difference.interval(), len(seeds), "paired seeds", needed)


def _judge_drawn(
    part: ClaimPart, terms: Sequence[tuple[int, Estimate]], difference: "Difference", against: float
) -> PartResult:
    """By the differences for each common draw: nothing is known of other seeds, so they can only suggest."""
    status, num_seeds = _decide(part, difference, against), min(len(one.values) for _, one in terms)
    status = SUGGESTED.get(status, status)
    return PartResult(part, status, difference.mean, *difference.interval(), num_seeds, "paired draws")


def _judge_unpaired(part: ClaimPart, terms: Sequence[tuple[int, Estimate]], against: float) -> PartResult:
    """By the cells' own standard errors, as if independent, which is conservative on one evaluation set.

    If one of them is only the evaluation set's, nothing is known about other seeds, and the numbers can only suggest.
    """
    mean = math.fsum(weight * estimate.mean for weight, estimate in terms)
    counting = [(float(weight), estimate) for weight, estimate in terms if weight]
    num_seeds = min((len(one.values) for _, one in counting if one.source != "published"), default=0)
    combined = combine(counting)
    if combined is None:
        return PartResult(part, "undecided", mean, num_seeds=num_seeds)
    difference = Difference(mean, *combined)
    status, noise = _decide(part, difference, against), _noise([estimate.source for _, estimate in counting])
    if noise in ("evaluation set alone", "draws"):
        status = SUGGESTED.get(status, status)
    return PartResult(part, status, mean, *difference.interval(), num_seeds, noise)


SUGGESTED: Mapping[Status, Status] = {"held": "suggested", "contradicted": "suggested against"}


def _noise(sources: Sequence[Source]) -> Noise:
    """What an interval covers that combines errors from these sources."""
    if "evaluation" in sources:
        return "evaluation set alone"
    if "draws" in sources:
        return "draws"
    if "pooled" in sources:
        return "pooled seeds"
    return "seeds" if "seeds" in sources else "published"


class Difference(NamedTuple):
    """Of two sums of cells, with its standard error."""

    mean: float
    error: float
    degrees: float

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Two-sided."""
        half = student_t(self.degrees, level) * self.error
        return self.mean - half, self.mean + half


def _decide(part: ClaimPart, difference: Difference, against: float) -> Status:
    """Whether all of the 95 % interval satisfies a part, none of the interval at the level `against`, or neither."""
    low, high = difference.interval()
    lowest, highest = difference.interval(against)
    if part.tolerance is not None:
        holds = -part.tolerance <= low and high <= part.tolerance
        fails = lowest > part.tolerance or highest < -part.tolerance
    else:
        holds, fails = low > part.margin, highest < part.margin
    return "held" if holds else "contradicted" if fails else "undecided"


def _seeds_to_decide(part: ClaimPart, mean: float, deviation: float, against: float) -> int | None:
    """The fewest seeds whose interval, at this mean and deviation, excludes the threshold."""
    distance = mean - part.margin if part.tolerance is None else part.tolerance - abs(mean)
    level = LEVEL if distance > 0 else against

    def decides(num_seeds: int) -> bool:
        return student_t(num_seeds - 1, level) * deviation / math.sqrt(num_seeds) < abs(distance)

    fewest = bisect.bisect_left(range(MIN_SEEDS, MAX_SEEDS + 1), True, key=decides) + MIN_SEEDS
    return fewest if fewest <= MAX_SEEDS else None


def _describe_part(result: PartResult) -> str:
    """`A/linear over B/linear: +0.40 [-0.20, +1.00], 3 paired seeds, 9 would decide it`."""
    question = _describe_question(result.part)
    if result.difference is None:
        return f"{question}: no number for {', '.join(result.missing)}"
    if result.low is None:
        return f"{question}: {result.difference:+.2f}, noise unknown"
    interval = f"{result.difference:+.2f} [{result.low:+.2f}, {result.high:+.2f}]"
    seeds = f", {seeds_text(result)}"
    needed = f", {result.seeds_to_decide} would decide it" if result.seeds_to_decide else ""
    return f"{question}: {interval}{seeds}{needed}"


def seeds_text(result: PartResult) -> str:
    """How many seeds, and what the interval covers: `3 paired seeds`, `1 seed, evaluation set alone`, `published`."""
    if result.noise in ("published", "unknown") and not result.num_seeds:
        return result.noise
    if result.noise in ("paired seeds", "pooled seeds", "seeds"):
        return f"{result.num_seeds} {result.noise}"
    return f"{result.num_seeds} seed{'s' if result.num_seeds > 1 else ''}, {result.noise}"


def _describe_question(part: ClaimPart) -> str:
    higher, lower = " + ".join(part.higher), " + ".join(part.lower)
    if part.tolerance is not None:
        return f"{higher} within {part.tolerance:g} of {lower}"
    return f"{higher} over {lower}" + (f" by {part.margin:g}" if part.margin else "")
