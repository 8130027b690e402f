"""From finished jobs to a table: one frame of every number, then one text a cell."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from caebench.plan.graph import Cell, Plan
from caebench.plan.store import Store
from caebench.published import Published, paper

if TYPE_CHECKING:
    from pandas import DataFrame

COLUMNS = ["row", "column", "seed", "job", "state", "value"]


@dataclass(frozen=True)
class Entry:
    """A cell of the table: our seeds' mean and spread, and the published number."""

    state: str  # done, quoted, or why it is empty
    values: tuple[float, ...]
    mean: float | None
    spread: float | None  # sample deviation over seeds
    published: Published | None  # None: the cell mirrors no published number

    def text(self, show_published: bool) -> str:
        """What stands in the cell."""
        ours = self._ours()
        if self.published is None or not show_published:
            return ours
        theirs = "n/f" if self.published.value is None else f"{self.published.value:.1f}"
        return f"({theirs})" if self.state == "quoted" else f"{ours} ({theirs})"

    def _ours(self) -> str:
        if self.mean is None:
            return "-" if self.state == "quoted" else self.state
        spread = f" +- {self.spread:.1f}" if self.spread is not None else ""
        return f"{self.mean:.1f}{spread}"


def load(plan: Plan, store: Store) -> "DataFrame":
    """Every number of a plan: one line a cell and seed, with the job that it came from and that job's state."""
    import pandas as pd

    lines: list[dict[str, Any]] = []
    for cell in plan.cells:
        for job in cell.jobs:
            result = store.result(job)
            value = None if result is None else result["metrics"][cell.column.metric]
            seed = getattr(job.inputs["encoder"].config, "seed", 0)
            lines.append(
                dict(
                    zip(
                        COLUMNS,
                        (cell.row.label, cell.column.header, seed, job.name, store.state(job), value),
                        strict=True,
                    )
                )
            )
    return pd.DataFrame(lines, columns=pd.Index(COLUMNS))


def entries(plan: Plan, store: Store) -> list[list[Entry]]:
    """The table's cells, row by row."""
    frame = load(plan, store)
    width = len(plan.table.columns)
    flat = [_entry(cell, frame) for cell in plan.cells]
    return [flat[first : first + width] for first in range(0, len(flat), width)]


def _entry(cell: Cell, frame: "DataFrame") -> Entry:
    published = _published(cell)
    if not cell.jobs:
        return Entry("quoted", (), None, None, published)
    lines = frame[(frame["row"] == cell.row.label) & (frame["column"] == cell.column.header)]
    values = lines["value"].dropna().astype(float)
    if values.empty:
        return Entry(str(lines["state"].iloc[0]), (), None, None, published)
    spread = float(values.std()) if len(values) > 1 else None
    return Entry("done", tuple(values), float(values.mean()), spread, published)


def _published(cell: Cell) -> Published | None:
    if cell.row.id is None or cell.column.published is None:
        return None
    return paper().get((cell.row.id, cell.column.published), Published(None, "", ""))
