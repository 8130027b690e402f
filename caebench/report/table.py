"""From finished jobs to a table: every number with the job that it came from, then one text a cell."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from caebench.config.dense import LearningRateGrid
from caebench.config.stage import METRICS
from caebench.plan.graph import Cell, Job, Plan
from caebench.plan.store import State, Store
from caebench.published import Published, read_set

if TYPE_CHECKING:
    from pandas import DataFrame  # pyright: ignore[reportMissingTypeStubs] pandas ships no types


class Number(NamedTuple):
    """One seed's number in a cell, with the job that it came from."""

    row: str
    column: str
    seed: int
    job: str
    state: State
    value: float | None  # None: the job is not done


@dataclass(frozen=True)
class Entry:
    """A cell of the table: our seeds' mean and spread, and the published number."""

    state: str  # done, quoted, or why it is empty
    values: tuple[float, ...]
    mean: float | None
    spread: float | None  # sample deviation over seeds
    published: Published | None  # None: the cell mirrors no published number
    num_asked: int = 0  # seeds
    rates: Mapping[float, float] = field(default_factory=dict[float, float])  # of a grid: rate -> mean over seeds

    def text(self) -> str:
        """What stands in the cell; where only some seeds are done, it says so."""
        ours = self._ours()
        if self.published is None:
            return ours
        theirs = "n/f" if self.published.value is None else f"{self.published.value:.1f}"
        return f"({theirs})" if self.state == "quoted" else f"{ours} ({theirs})"

    def _ours(self) -> str:
        if self.mean is None:
            return "-" if self.state == "quoted" else self.state
        spread = f" +- {self.spread:.1f}" if self.spread is not None else ""
        missing = f" [{len(self.values)} of {self.num_asked}]" if len(self.values) < self.num_asked else ""
        return f"{self.mean:.1f}{spread}{missing}"


def load(plan: Plan, store: Store) -> "DataFrame":
    """Every number of a plan: one line a cell and seed, with the job that it came from and that job's state."""
    import pandas as pd  # pyright: ignore[reportMissingTypeStubs] pandas ships no types

    lines = [number for cell in plan.cells for number in numbers(cell, store)]
    return pd.DataFrame(lines, columns=pd.Index(Number._fields))


def numbers(cell: Cell, store: Store) -> list[Number]:
    """A cell's numbers, one a seed."""
    return [_number(cell, job, store) for job in cell.jobs]


def _number(cell: Cell, job: Job, store: Store) -> Number:
    result = store.result(job)
    value = None if result is None else result["metrics"][cell.column.metric]
    seed = getattr(job.inputs["encoder"].config, "seed", 0)
    return Number(cell.row.label, cell.column.header, seed, job.name, store.state(job), value)


def entries(plan: Plan, store: Store) -> list[list[Entry]]:
    """The table's cells, row by row."""
    width = len(plan.table.columns)
    flat = [replace(_entry(cell, numbers(cell, store)), rates=_rates(cell, store)) for cell in plan.cells]
    return [flat[first : first + width] for first in range(0, len(flat), width)]


def _entry(cell: Cell, found: list[Number]) -> Entry:
    published = _published(cell)
    if not found:
        return Entry("quoted", (), None, None, published)
    values = [float(number.value) for number in found if number.value is not None]
    if not values:
        return Entry(found[0].state, (), None, None, published)
    spread = statistics.stdev(values) if len(values) > 1 else None
    return Entry("done", tuple(values), statistics.fmean(values), spread, published, len(found))


def _rates(cell: Cell, store: Store) -> dict[float, float]:
    """What each learning rate gave, where a column shows the best of a grid; nothing until every seed is done."""
    found: dict[float, list[float]] = {}
    for job in cell.jobs:
        config, result, metric = job.config, store.result(job), cell.column.metric
        if not isinstance(config, LearningRateGrid) or result is None or metric != METRICS[type(config.task)][0]:
            return {}
        for rate in config.rates:
            found.setdefault(rate, []).append(result["metrics"][f"{metric}_{config.role(rate)}"])
    return {rate: statistics.fmean(values) for rate, values in found.items()}


def _published(cell: Cell) -> Published | None:
    if cell.row.id is None or cell.column.published is None:
        return None
    return read_set("paper").find(cell.row.id, cell.column.published) or Published(None, "", "")
