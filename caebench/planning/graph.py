"""From a suite to jobs: rows times columns become a graph in which equal jobs are one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

from caebench.datasets.errors import DataError
from caebench.files.toml import brief
from caebench.specs.base import NeedsWholeSetError
from caebench.specs.inputs.dataset import Contents, DataSpec, OwnData, RealData
from caebench.specs.inputs.few_shot import DRAWS
from caebench.specs.job import Job, Spec, make_job
from caebench.specs.mistakes import words_of
from caebench.specs.naming import deviation
from caebench.specs.scale import Scale
from caebench.suites.recipes import SuiteError
from caebench.suites.suite import Column, Row, Suite

S = TypeVar("S", bound=Spec)


@dataclass(frozen=True)
class Cell:
    """A cell of the table, and its jobs, one per seed and draw; none if the row is quoted, or there is a reason."""

    row: Row
    column: Column
    jobs: tuple[Job, ...]
    reason: str = ""  # why it is not run, though its row is


@dataclass(frozen=True)
class Plan:
    """A suite at a scale: its cells and their jobs."""

    suite: Suite
    scale: Scale
    cells: tuple[Cell, ...]

    @cached_property
    def jobs(self) -> list[Job]:
        """Every job once, inputs before their dependents."""
        unique: dict[str, Job] = {}
        for cell in self.cells:
            for target in cell.jobs:
                for job in (*target.ancestors(), target):
                    unique.setdefault(job.id, job)
        return list(unique.values())

    @cached_property
    def subsets(self) -> dict[str, Contents]:
        """The data sets of its jobs that are subsets of the published ones."""
        data = (job.config for job in self.jobs if isinstance(job.config, RealData))
        return {config.name: config.subset for config in data if config.subset is not None}

    @cached_property
    def own_data(self) -> dict[str, Contents]:
        """The users' own data sets of its jobs."""
        data = (job.config for job in self.jobs if isinstance(job.config, OwnData))
        return {config.name: config.contents for config in data if config.contents is not None}

    @property
    def is_comparable(self) -> bool:
        """Whether its numbers are compared with published ones: at the published sizes, on whole data sets."""
        return self.scale.name == "paper" and not self.subsets

    @cached_property
    def notes(self) -> list[str]:
        """Which columns are not run and why; which rows are the same jobs at this scale, a line for each group."""
        return [*self._not_run(), *self._same_rows()]

    def _not_run(self) -> list[str]:
        headers: dict[str, dict[str, None]] = {}
        for cell in self.cells:
            if cell.reason:
                headers.setdefault(cell.reason, {})[cell.column.header] = None
        return [f"Not run: {', '.join(found)}. {reason}." for reason, found in headers.items()]

    def _same_rows(self) -> list[str]:
        same: dict[tuple[str, ...], dict[str, None]] = {}
        width = len(self.suite.columns)
        for first in range(0, len(self.cells), width):
            cells = self.cells[first : first + width]
            if ids := tuple(job.id for cell in cells for job in cell.jobs):
                same.setdefault(ids, {})[cells[0].row.key] = None
        return [self._note(list(keys)) for keys in same.values() if len(keys) > 1]

    def _note(self, keys: list[str]) -> str:
        numbers = " and ".join(str(self.suite.numbers[key]) for key in keys)
        names = ", ".join(f"'{brief(key)}'" for key in keys)
        return (
            f"{self.suite.path}, rows {numbers} ({names}): the same jobs at {self.scale.name} scale, so the same "
            "numbers. Set what differs, or remove all but one."
        )

    def of_seeds(self, seeds: Sequence[int]) -> "Plan":
        """The plan with the jobs of some of its seeds, and those without a seed."""
        cells = (
            replace(cell, jobs=tuple(job for job in cell.jobs if job.seed is None or job.seed in seeds))
            for cell in self.cells
        )
        return replace(self, cells=tuple(cells))

    @property
    def jobs_asked(self) -> int:
        """The number of jobs if nothing were shared: each cell's own and all its ancestors."""
        return sum(1 + len(target.ancestors()) for cell in self.cells for target in cell.jobs)


@dataclass(frozen=True)
class Plans:
    """The joint plan of some suites: equal jobs are one, whichever suite asks for them."""

    name: str
    plans: tuple[Plan, ...]

    @cached_property
    def jobs(self) -> list[Job]:
        """Every job once, inputs before their dependents."""
        return list({job.id: job for plan in self.plans for job in plan.jobs}.values())

    @property
    def jobs_asked(self) -> int:
        """The number of jobs if nothing were shared, within a suite or between them."""
        return sum(plan.jobs_asked for plan in self.plans)


def make_plan(suite: Suite, scale: Scale, seeds: Sequence[int] = (0,)) -> Plan:
    """Every row times every column, at a scale, for each seed.

    Raises:
        SuiteError: a row or column names something unknown, or asks for a job that cannot run.
    """
    cells: list[Cell] = []
    for row in suite.rows:
        encoders = [] if row.quoted else encoder_jobs(suite, row, scale, seeds)
        cells += [_cell(suite, row, column, scale, encoders) for column in suite.columns.values()]
    return Plan(suite, scale, tuple(cells))


def _cell(suite: Suite, row: Row, column: Column, scale: Scale, encoders: list[tuple[Job, int]]) -> Cell:
    try:
        jobs = cell_jobs(suite, row, column, scale, encoders) if encoders else []
    except NeedsWholeSetError as error:
        return Cell(row, column, (), str(error))
    return Cell(row, column, tuple({job.id: job for job in jobs}.values()))


def encoder_jobs(suite: Suite, row: Row, scale: Scale, seeds: Sequence[int]) -> list[tuple[Job, int]]:
    """A row's pretraining for each seed, with the seed.

    Raises:
        SuiteError: the row names something unknown, or asks for a job that cannot run.
    """
    try:
        wanted = suite.pretraining(row)
        source, label = scale.apply(wanted), deviation(suite.default_pretraining(row), wanted)
        return [(make_job(_seeded(source, seed), label), seed) for seed in seeds]
    except (SuiteError, DataError):
        raise
    except ValueError as error:
        raise SuiteError(suite.where(row), words_of(error)) from error


def cell_jobs(suite: Suite, row: Row, column: Column, scale: Scale, encoders: list[tuple[Job, int]]) -> list[Job]:
    """A cell's jobs, one per encoder and draw; each has the seed of its pretraining if it uses randomness.

    Raises:
        SuiteError: the column names something unknown, or asks for a job that cannot run.
    """
    config = suite.evaluation(row, column)
    label = deviation(suite.evaluation(row, column.replace(set={})), config) if column.set else ""
    if not config.NEEDS_ENCODER:  # its numbers do not depend on a seed
        return [make_job(scale.apply(config), deviation(suite.default_pretraining(row), suite.pretraining(row)))]
    try:
        config = scale.apply(config)
        return [
            make_job(_seeded(drawn, seed), label, encoder=encoder)
            for encoder, seed in encoders
            for drawn in _drawn(config, column)
        ]
    except (NeedsWholeSetError, DataError):
        raise
    except ValueError as error:
        raise SuiteError(suite.where(row), words_of(error)) from error


def _drawn(config: S, column: Column) -> list[S]:
    """The config with each draw of its few-shot data; on a whole data set, as it is."""
    data = getattr(config, "data", None)
    if not isinstance(data, DataSpec) or data.few is None:
        return [config]
    draws = [data.replace(few=data.few.replace(draw=number)) for number in range(column.draws or DRAWS)]
    return [config.replace(**{"data": each}) for each in draws]


def _seeded(config: S, seed: int) -> S:
    """The config with a seed, if it uses randomness."""
    return config.replace(seed=seed) if "seed" in type(config).model_fields else config
