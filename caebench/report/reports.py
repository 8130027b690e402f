"""The reports of suites: each suite's entries once, and claims that may look into other suites."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from caebench.config.claim import CellName
from caebench.plan.graph import Plan, make_plan
from caebench.plan.scale import Scale
from caebench.published import PublishedSet
from caebench.report.claims import Judgement, judge
from caebench.report.records import Records
from caebench.report.render import Document, Rows, document
from caebench.report.statistics import Estimate
from caebench.report.table import MAX_SEEDS, Entry, entries, filled, known_estimate, theirs_estimate
from caebench.suites import Table, load


@dataclass
class Reports:
    """Tables of one scale, from the same records, against the same published sets."""

    scale: Scale
    records: Records
    sets: Sequence[PublishedSet]
    seeds: Sequence[int] | None = None  # None: every seed of which something is done
    _plans: dict[str, Plan] = field(default_factory=dict[str, Plan])
    _rows: dict[str, Rows] = field(default_factory=dict[str, Rows])

    def plan(self, table: Table) -> Plan:
        """A suite's plan with the seeds that the report shows."""
        if table.name not in self._plans:
            seeds = self.seeds if self.seeds is not None else self._finished_seeds(table)
            self._plans[table.name] = filled(make_plan(table, self.scale, seeds), self.records)
        return self._plans[table.name]

    def rows(self, table: Table) -> Rows:
        """A suite's entries, row by row."""
        if table.name not in self._rows:
            self._rows[table.name] = entries(self.plan(table), self.records, self.sets)
        return self._rows[table.name]

    def claims(self, table: Table) -> list[tuple[Judgement, Judgement]]:
        """A suite's claims on our numbers, and on the published ones."""
        ours = [judge(claim, lambda cell: self._ours(table, cell)) for claim in table.claims]
        theirs = [judge(claim, lambda cell: theirs_estimate(self.entry(table, cell))) for claim in table.claims]
        return list(zip(ours, theirs, strict=True))

    def document(self, table: Table) -> Document:
        """A suite's whole report."""
        found = document(self.plan(table), self.rows(table), self.claims(table))
        also = [line for published in self.sets for line in published.notes(table.name)]
        return replace(found, notes=[*found.notes, *also])

    def _ours(self, table: Table, cell: CellName) -> Estimate | None:
        owner = load(cell.suite) if cell.suite else table
        return known_estimate(self.plan(owner), self.entry(table, cell))

    def entry(self, table: Table, cell: CellName) -> Entry:
        """A cell, of this suite or of the one that it names."""
        owner = load(cell.suite) if cell.suite else table
        row, column = owner.find(cell, str(table.path))
        shown = list(self.plan(owner).table.columns)
        if cell.column not in shown:  # an extra column of which no job has a number
            return Entry(row, cell.column, column, "not run")
        return self.rows(owner)[owner.rows.index(row)][shown.index(cell.column)]

    def _finished_seeds(self, table: Table) -> list[int]:
        """Seeds of which a cell is done; 0 where there is none."""
        found = [seed for seed in range(MAX_SEEDS) if self._any_done(make_plan(table, self.scale, [seed]))]
        return found or [0]

    def _any_done(self, plan: Plan) -> bool:
        """What depends on no seed, as k-NN of an imported encoder, is done for none in particular."""
        jobs = [job for cell in plan.cells for job in cell.jobs if job.seed is not None]
        return any(self.records.state(job) == "done" for job in jobs)
