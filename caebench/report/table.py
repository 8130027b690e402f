"""From finished jobs to a table: every number with the job that it came from, then what a cell says of it (ADR 13)."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from caebench.config.base import Config
from caebench.config.dense import LearningRateGrid
from caebench.config.stage import METRICS, PretrainingCost
from caebench.plan.graph import Cell, Job, Plan
from caebench.plan.store import State
from caebench.published import Published, PublishedSet, noise
from caebench.report.choices import Choice, choice
from caebench.report.protocol import concerning, departures, fingerprint, usual
from caebench.report.records import Record, Records
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
from caebench.suites import Column, Row

if TYPE_CHECKING:
    from pandas import DataFrame  # pyright: ignore[reportMissingTypeStubs] pandas ships no types

EMPTY: Mapping[State, str] = {"todo": "not run"}  # what an empty cell says where its job's state says it badly
MAX_SEEDS = 10  # seeds that a report looks for, from 0


class Number(NamedTuple):
    """One seed's number in a cell, with the job that it came from; `low` and `high` are its 95 % interval."""

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
    best: float | None = None  # of several readings, where the value is the fixed choice among them
    low: float | None = None  # of the evaluation's own sampling error
    high: float | None = None
    protocol: str | None = None  # equal for numbers made alike
    commit: str | None = None


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
    verdict: Verdict | None = None  # against the first set, at paper scale
    mark: Mark = ""
    departures: tuple[str, ...] = ()  # from the column's protocol
    rates: Mapping[float, float] = field(default_factory=dict[float, float])  # of a grid: rate -> mean over seeds
    choice: Choice | None = None  # where the numbers are the fixed choice of several

    @property
    def spread(self) -> float | None:
        """The deviation of one run over seeds; the evaluation's own standard error where seeds do not say it."""
        if self.estimate is None:
            return None
        values = list(self.estimate.values.values())  # rounds once where they say it themselves
        return statistics.stdev(values) if self.estimate.source == "seeds" else self.estimate.deviation

    @property
    def best(self) -> float | None:
        """The mean over seeds of the best readings."""
        found = [number.best for number in self.numbers if number.best is not None]
        return statistics.fmean(found) if found else None

    @property
    def theirs(self) -> Published | None:
        """The number of the first set."""
        return next(iter(self.published.values()), None)


def numbers(plan: Plan, cell: Cell, records: Records) -> tuple[Number, ...]:
    """A cell's numbers, one a seed.

    Raises:
        ValueError: two are of one seed.
    """
    found = tuple(_number(plan, cell, job, records) for job in cell.jobs)
    _refuse_equal_seeds(found)
    return found


def _number(plan: Plan, cell: Cell, job: Job, records: Records) -> Number:
    column, record = cell.column, records.find(job)
    key = next(key for key, known in plan.table.columns.items() if known is column)
    chosen = choice(job.config, column.metric)
    if chosen and record is not None and chosen.fixed not in record["metrics"]:
        chosen = None  # a record of one reading
    metric = chosen.fixed if chosen else column.metric
    place = (plan.table.name, cell.row.label, cell.row.id, key, column.header, metric, job.seed or 0, job.name)
    if record is None:
        return Number(*place, records.state(job), None)
    if metric not in record["metrics"]:  # its site had not what this number rests on
        return Number(*place, "todo", None)
    low, high = record.get("intervals", {}).get(metric, (None, None))
    made = fingerprint(job.config, concerning(record, column.metric)), record["provenance"].get("commit")
    best = record["metrics"][chosen.best] if chosen else None
    return Number(*place, "done", record["metrics"][metric], best, low, high, *made)


def filled(plan: Plan, records: Records) -> Plan:
    """The plan without the extra columns of which no job has a number."""
    shown = {
        id(cell.column)
        for cell in plan.cells
        if not cell.column.is_extra or any(number.value is not None for number in numbers(plan, cell, records))
    }
    columns = {key: column for key, column in plan.table.columns.items() if id(column) in shown}
    cells = tuple(cell for cell in plan.cells if id(cell.column) in shown)
    return replace(plan, table=plan.table.replace(columns=columns), cells=cells)


def frame(plans: Iterable[Plan], records: Records) -> "DataFrame":
    """Every number of some plans: one line a cell and seed."""
    import pandas as pd  # pyright: ignore[reportMissingTypeStubs] pandas ships no types

    lines = [number for plan in plans for cell in plan.cells for number in numbers(plan, cell, records)]
    return pd.DataFrame(lines, columns=pd.Index(Number._fields))


def entries(plan: Plan, records: Records, sets: Sequence[PublishedSet]) -> list[list[Entry]]:
    """The table's cells, row by row."""
    keys = list(plan.table.columns)
    flat = [_entry(plan, cell, keys[number % len(keys)], records, sets) for number, cell in enumerate(plan.cells)]
    columns = [_mark(plan, flat[first :: len(keys)], records, first) for first in range(len(keys))]
    return [[column[number] for column in columns] for number in range(len(plan.table.rows))]


def _entry(plan: Plan, cell: Cell, key: str, records: Records, sets: Sequence[PublishedSet]) -> Entry:
    found, done = numbers(plan, cell, records), "quoted"
    values = {number.seed: float(number.value) for number in found if number.value is not None}
    if found:
        done = "done" if values else EMPTY.get(found[0].state, found[0].state)
    intervals = {n.seed: None if n.low is None or n.high is None else (n.low, n.high) for n in found}
    entry = Entry(cell.row, key, cell.column, done, found, estimate(values, intervals), _published(cell, sets))
    chosen = choice(cell.jobs[0].config, cell.column.metric) if cell.jobs else None
    return replace(entry, rates=_rates(cell, records), choice=chosen)


def _refuse_equal_seeds(numbers: Sequence[Number]) -> None:
    """A cell has one number a seed, or the last would stand for all.

    Raises:
        ValueError: two jobs of a cell are of one seed, whether they are done or not.
    """
    jobs: dict[int, str] = {}
    for number in numbers:
        if number.seed in jobs:
            raise ValueError(
                f"{number.suite}, row '{number.row}', column '{number.column}': two numbers of seed {number.seed} "
                f"({jobs[number.seed]}, {number.job}). A cell has one number a seed: plan each seed once."
            )
        jobs[number.seed] = number.job


def _published(cell: Cell, sets: Sequence[PublishedSet]) -> dict[str, Published | None]:
    row, metric = cell.row.id, cell.column.published
    return {} if row is None or metric is None else {known.name: known.find(row, metric) for known in sets}


def _verdict(plan: Plan, entry: Entry) -> Verdict | None:
    theirs = entry.theirs
    if plan.scale.name != "paper" or entry.estimate is None or theirs is None or theirs.value is None:
        return None
    return verdict(entry.estimate, theirs.value, rounding_of(repr(theirs.value)))


def _rates(cell: Cell, records: Records) -> dict[float, float]:
    """What each learning rate gave, where a column shows the best of a grid; nothing until every seed is done."""
    found: dict[float, list[float]] = {}
    for job in cell.jobs:
        config, record, metric = job.config, records.find(job), cell.column.metric
        if not isinstance(config, LearningRateGrid) or record is None or metric != METRICS[type(config.task)][0]:
            return {}
        for rate in config.rates:
            found.setdefault(rate, []).append(record["metrics"][f"{metric}_{config.role(rate)}"])
    return {rate: statistics.fmean(values) for rate, values in found.items()}


# ---- what only the whole column can say -----------------------------------------------------------------------------


def _mark(plan: Plan, column: list[Entry], records: Records, first: int) -> list[Entry]:
    """Best and second, and what departs from the column's protocol."""
    cells = plan.cells[first :: len(plan.table.columns)]
    metric = cells[0].column.metric
    found = {job.id: record for cell in cells for job in cell.jobs if (record := records.find(job)) is not None}
    known = {key: concerning(record, metric) for key, record in found.items()}
    usually = usual(list(known.values()))
    pooled = [replace(e, estimate=one) for e, one in zip(column, pool([e.estimate for e in column]), strict=True)]
    marks = ranks([known_estimate(plan, entry) for entry in pooled]) if _higher_is_better(cells) else [""] * len(column)
    return [
        replace(
            entry,
            mark=mark,
            verdict=_verdict(plan, entry),
            departures=_departures(plan, cell, known, usually),
        )
        for entry, mark, cell in zip(pooled, marks, cells, strict=True)
    ]


def _departures(plan: Plan, cell: Cell, known: Mapping[str, Record], usually: Mapping[str, Any]) -> tuple[str, ...]:
    """How a cell's numbers depart from the column's protocol, each way once."""
    lines = [
        line
        for job in cell.jobs
        if job.id in known
        for line in departures(job.config, _expected(plan, cell), known[job.id], usually)
    ]
    return tuple(dict.fromkeys(lines))


def known_estimate(plan: Plan, entry: Entry) -> Estimate | None:
    """Our number; for a row that is only quoted, at paper scale, the published one."""
    if entry.state != "quoted" or plan.scale.name != "paper":
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
    return not any(isinstance(job.config, PretrainingCost) for cell in cells for job in cell.jobs)


def _expected(plan: Plan, cell: Cell) -> Config:
    """The column's recipe for the row's variant, without what the suite sets."""
    config = plan.table.evaluation(cell.row, cell.column.replace(set={}))
    seeded = config.replace(seed=0) if "seed" in type(config).model_fields else config
    return plan.scale.apply(seeded)
