"""From finished jobs to a table: every number with its job, then each cell's estimate, marks and verdict (ADR 13)."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from caebench.planning.graph import Cell, Plan
from caebench.report.draws import estimate_draws
from caebench.report.protocol import deviations, fingerprint, usual
from caebench.report.statistics import (
    Estimate,
    Mark,
    Verdict,
    estimate,
    pool,
    published_estimate,
    ranks,
    rounding_of,
    verdict,
)
from caebench.specs.base import Config
from caebench.specs.job import Choice, Job
from caebench.store.records import Record, Records
from caebench.store.store import State
from caebench.suites.published import Published, PublishedSet, noise
from caebench.suites.suite import Column, Row

if TYPE_CHECKING:
    from pandas import DataFrame  # pyright: ignore[reportMissingTypeStubs] pandas ships no types

EMPTY: Mapping[State, str] = {"todo": "not run"}  # clearer words for some job states in an empty cell
MAX_SEEDS = 10  # seeds that a report looks for, from 0


class Number(NamedTuple):
    """One seed's number in a cell, or one draw's, with its job; `low` and `high` are its 95 % interval."""

    suite: str
    row: str
    row_id: str | None
    column: str
    header: str
    metric: str
    seed: int
    job: str
    state: State
    value: float | None  # None: the job is not done
    best: float | None = None  # of several results, if the value is the fixed choice among them
    low: float | None = None  # of the evaluation's own sampling error
    high: float | None = None
    protocol: str | None = None  # equal for numbers made in the same way
    commit: str | None = None
    draw: int | None = None  # of few-shot data


@dataclass(frozen=True)
class Entry:
    """A cell of the table."""

    row: Row
    key: str  # of the column
    column: Column
    state: str  # done, quoted, or why it is empty
    numbers: tuple[Number, ...] = ()
    estimate: Estimate | None = None
    published: Mapping[str, Published | None] = field(default_factory=dict[str, Published | None])  # by set
    verdict: Verdict | None = None  # compared with the first set, in a comparable plan
    mark: Mark = ""
    deviations: tuple[str, ...] = ()  # from the column's protocol
    rates: Mapping[float, float] = field(default_factory=dict[float, float])  # of a grid: rate -> mean over seeds
    choice: Choice | None = None  # if the numbers are the fixed choice among several

    @property
    def spread(self) -> float | None:
        """The deviation of one run over seeds, or the evaluation's own standard error if there are too few seeds."""
        if self.estimate is None:
            return None
        values = list(self.estimate.values.values())  # with enough seeds, computed from them, so rounded once
        return statistics.stdev(values) if self.estimate.source == "seeds" else self.estimate.deviation

    @property
    def best(self) -> float | None:
        """The mean over seeds of the best results."""
        found = [number.best for number in self.numbers if number.best is not None]
        return statistics.fmean(found) if found else None

    @property
    def theirs(self) -> Published | None:
        """The number of the first set."""
        return next(iter(self.published.values()), None)


def numbers(plan: Plan, cell: Cell, records: Records) -> tuple[Number, ...]:
    """A cell's numbers, one per seed, and on few-shot data one per seed and draw.

    Raises:
        ValueError: two have the same seed and draw.
    """
    found = tuple(_number(plan, cell, job, records)._replace(draw=job.draw) for job in cell.jobs)
    _check_distinct_seeds(found)
    return found


def _number(plan: Plan, cell: Cell, job: Job, records: Records) -> Number:
    column, record = cell.column, records.find(job)
    key = next(key for key, known in plan.suite.columns.items() if known is column)
    chosen = job.config.choice(column.metric)
    if chosen and record is not None and chosen.fixed not in record["metrics"]:
        chosen = None  # a record with a single result
    metric = chosen.fixed if chosen else column.metric
    place = (plan.suite.name, cell.row.label, cell.row.id, key, column.header, metric, job.seed or 0, job.name)
    if record is None:
        return Number(*place, records.state(job), None)
    if metric not in record["metrics"]:
        return Number(*place, "damaged", None)
    low, high = record.get("intervals", {}).get(metric, (None, None))
    made = fingerprint(job.config, record), record["provenance"].get("commit")
    best = record["metrics"].get(chosen.best) if chosen else None
    return Number(*place, "done", record["metrics"][metric], best, low, high, *made)


def frame(plans: Iterable[Plan], records: Records) -> "DataFrame":
    """Every number of some plans: one line per cell and seed."""
    import pandas as pd  # pyright: ignore[reportMissingTypeStubs] pandas ships no types

    lines = [number for plan in plans for cell in plan.cells for number in numbers(plan, cell, records)]
    return pd.DataFrame(lines, columns=pd.Index(Number._fields))


def entries(plan: Plan, records: Records, sets: Sequence[PublishedSet]) -> list[list[Entry]]:
    """The table's cells, row by row."""
    keys = list(plan.suite.columns)
    flat = [_entry(plan, cell, keys[number % len(keys)], records, sets) for number, cell in enumerate(plan.cells)]
    columns = [_mark(plan, flat[first :: len(keys)], records, first) for first in range(len(keys))]
    return [[column[number] for column in columns] for number in range(len(plan.suite.rows))]


def _entry(plan: Plan, cell: Cell, key: str, records: Records, sets: Sequence[PublishedSet]) -> Entry:
    found, done = numbers(plan, cell, records), "quoted"
    known = _estimate(found)
    if found:
        done = "done" if known is not None else EMPTY.get(found[0].state, found[0].state)
    entry = Entry(cell.row, key, cell.column, done, found, known, _published(cell, sets))
    chosen = cell.jobs[0].config.choice(cell.column.metric) if cell.jobs else None
    return replace(entry, rates=_rates(cell, records), choice=chosen)


def _estimate(found: Sequence[Number]) -> Estimate | None:
    """Mean and noise of a cell's numbers."""
    intervals = {n: None if n.low is None or n.high is None else (n.low, n.high) for n in found if n.value is not None}
    if any(number.draw is not None for number in found):
        values: dict[int, dict[int, float]] = {}
        for n in intervals:
            values.setdefault(n.seed, {})[n.draw or 0] = float(n.value or 0.0)
        return estimate_draws(values, intervals.values())
    return estimate(
        {n.seed: float(n.value or 0.0) for n in intervals}, {n.seed: known for n, known in intervals.items()}
    )


def _check_distinct_seeds(numbers: Sequence[Number]) -> None:
    """A cell has one number per seed, or the last would replace the others.

    Raises:
        ValueError: two jobs of a cell have the same seed and draw, whether they are done or not.
    """
    jobs: dict[tuple[int, int | None], str] = {}
    for number in numbers:
        key = number.seed, number.draw
        if key in jobs:
            raise ValueError(
                f"{number.suite}, row '{number.row}', column '{number.column}': two numbers of seed {number.seed} "
                f"({jobs[key]}, {number.job}). A cell has one number per seed: plan each seed once."
            )
        jobs[key] = number.job


def _published(cell: Cell, sets: Sequence[PublishedSet]) -> dict[str, Published | None]:
    row, metric = cell.row.id, cell.column.published
    return {} if row is None or metric is None else {known.name: known.find(row, metric) for known in sets}


def _verdict(plan: Plan, entry: Entry) -> Verdict | None:
    theirs = entry.theirs
    if not plan.is_comparable or entry.estimate is None or theirs is None or theirs.value is None:
        return None
    return verdict(entry.estimate, theirs.value, rounding_of(repr(theirs.value)))


def _rates(cell: Cell, records: Records) -> dict[float, float]:
    """The result of each learning rate, if a column shows a choice from a grid; empty until every seed is done."""
    found: dict[float, list[float]] = {}
    for job in cell.jobs:
        readings, record = job.config.readings(cell.column.metric), records.find(job)
        if not readings or record is None or not record["metrics"].keys() >= set(readings.values()):
            return {}
        for rate, metric in readings.items():
            found.setdefault(rate, []).append(record["metrics"][metric])
    return {rate: statistics.fmean(values) for rate, values in found.items()}


def has_numbers(rows: Iterable[Iterable[Entry]]) -> bool:
    """Whether a cell has a number of ours."""
    return any(entry.estimate is not None for row in rows for entry in row)


# ---- what depends on the full column --------------------------------------------------------------------------------


def _mark(plan: Plan, column: list[Entry], records: Records, first: int) -> list[Entry]:
    """Best and second, and deviations from the column's protocol."""
    cells = plan.cells[first :: len(plan.suite.columns)]
    known = {job.id: record for cell in cells for job in cell.jobs if (record := records.find(job)) is not None}
    usually = usual(list(known.values()))
    pooled = [replace(e, estimate=one) for e, one in zip(column, pool([e.estimate for e in column]), strict=True)]
    marks = ranks([known_estimate(plan, entry) for entry in pooled]) if _higher_is_better(cells) else [""] * len(column)
    return [
        replace(
            entry,
            mark=mark,
            verdict=_verdict(plan, entry),
            deviations=_deviations(plan, cell, known, usually),
        )
        for entry, mark, cell in zip(pooled, marks, cells, strict=True)
    ]


def _deviations(plan: Plan, cell: Cell, known: Mapping[str, Record], usually: Mapping[str, Any]) -> tuple[str, ...]:
    """How a cell's numbers deviate from the column's protocol, each deviation once."""
    lines = [
        line
        for job in cell.jobs
        if job.id in known
        for line in deviations(job.config, _expected(plan, cell), known[job.id], usually)
    ]
    return tuple(dict.fromkeys(lines))


def known_estimate(plan: Plan, entry: Entry) -> Estimate | None:
    """Our number, or in a comparable plan the published one of a quoted row."""
    if entry.state != "quoted" or not plan.is_comparable:
        return entry.estimate
    return theirs_estimate(entry)


def theirs_estimate(entry: Entry) -> Estimate | None:
    """The published number of the first set with its noise."""
    theirs = entry.theirs
    if theirs is None or theirs.value is None:
        return None
    assert entry.column.published is not None, "a column without a published metric has no published number"
    return published_estimate(theirs.value, *noise(entry.column.published))


def _higher_is_better(cells: Sequence[Cell]) -> bool:
    return all(job.config.HIGHER_IS_BETTER for cell in cells for job in cell.jobs)


def _expected(plan: Plan, cell: Cell) -> Config:
    """The column's protocol for the row's variant: its recipe, and its `set` where no published number is compared."""
    column = cell.column if cell.column.published is None else cell.column.replace(set={})
    config = plan.suite.evaluation(cell.row, column)
    seeded = config.replace(seed=0) if "seed" in type(config).model_fields else config
    return plan.scale.apply(seeded)
