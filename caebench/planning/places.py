"""Where a plan's jobs stand in its tables: the rows and columns that a job is for, its own cell or others' input."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from caebench.planning.graph import Plan
from caebench.specs.job import Job

MOST = 1  # names of rows or columns that are written out
Names = dict[str, None]  # each once, in their order


@dataclass
class Place:
    """A job's rows and columns, by what the table calls them."""

    suites: Names = field(default_factory=dict[str, None])
    rows: Names = field(default_factory=dict[str, None])
    columns: Names = field(default_factory=dict[str, None])
    role: str = ""  # of an input of cells, in place of a column: what it is
    seed: int | None = None

    def row(self) -> str:
        """Its row, or the first with the number of the others."""
        return _few(list(self.rows), "rows")

    def column(self) -> str:
        """Its column, or what it is for cells of several."""
        return self.role or _few(list(self.columns), "columns")


def places(plans: Sequence[Plan]) -> dict[str, Place]:
    """The place of each job, by its id."""
    found: dict[str, Place] = {}
    for plan in plans:
        for cell in plan.cells:
            for job in cell.jobs:
                for one in (*job.ancestors(), job):
                    place = found.setdefault(one.id, Place(role=_role(one), seed=one.seed))
                    place.suites[plan.suite.name] = place.rows[cell.row.label] = None
                    if one is job:
                        place.role = ""
                        place.columns[cell.column.header] = None
    return found


def _role(job: Job) -> str:
    """What a job is that is the input of others: `pretraining`, `data: imagenet1k`."""
    name = job.config.FOLDER or job.kind
    of = getattr(job.config, "name", None) if name == "data" else None
    return {"pretrain": "pretraining"}.get(name, name.replace("_", " ")) + (f": {of}" if of else "")


def _few(names: list[str], what: str) -> str:
    if len(names) <= MOST:
        return names[0] if names else ""
    return f"{names[0]} and {len(names) - MOST} more" if what == "columns" else f"{len(names)} rows"
