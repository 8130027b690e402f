"""The reports of suites: each suite's entries are made once, and claims may name cells of other suites."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from caebench.planning.graph import Plan, make_plan
from caebench.report.claims import Judgement, judge
from caebench.report.render import Document, Rows, document
from caebench.report.statistics import Estimate
from caebench.report.table import MAX_SEEDS, Entry, entries, known_estimate, theirs_estimate
from caebench.specs.scale import Scale
from caebench.store.records import Records
from caebench.suites.claims import CellName
from caebench.suites.loading import load
from caebench.suites.published import PublishedSet
from caebench.suites.suite import Suite


@dataclass
class Reports:
    """Tables of one scale, from the same records, compared with the same published sets."""

    scale: Scale
    records: Records
    sets: Sequence[PublishedSet]
    seeds: Sequence[int] | None = None  # None: every seed with a finished job
    planned: Sequence[Plan] = ()  # of suites that were planned before, with those seeds
    _plans: dict[str, Plan] = field(default_factory=dict[str, Plan])
    _rows: dict[str, Rows] = field(default_factory=dict[str, Rows])

    def plan(self, suite: Suite) -> Plan:
        """A suite's plan with the seeds that the report shows."""
        if suite.name not in self._plans:
            planned = next((plan for plan in self.planned if plan.suite.name == suite.name), None)
            self._plans[suite.name] = planned or self._plan(suite)
        return self._plans[suite.name]

    def _plan(self, suite: Suite) -> Plan:
        """With the requested seeds, or those with a finished job."""
        if self.seeds is not None:
            return make_plan(suite, self.scale, self.seeds)
        plan = make_plan(suite, self.scale, range(MAX_SEEDS))
        return plan.of_seeds(self._finished_seeds(plan))

    def rows(self, suite: Suite) -> Rows:
        """A suite's entries, row by row."""
        if suite.name not in self._rows:
            self._rows[suite.name] = entries(self.plan(suite), self.records, self.sets)
        return self._rows[suite.name]

    def claims(self, suite: Suite) -> list[tuple[Judgement, Judgement]]:
        """A suite's claims on our numbers, and on the published ones."""
        ours = [judge(claim, lambda cell: self._ours(suite, cell)) for claim in suite.claims]
        theirs = [judge(claim, lambda cell: theirs_estimate(self.entry(suite, cell))) for claim in suite.claims]
        return list(zip(ours, theirs, strict=True))

    def document(self, suite: Suite) -> Document:
        """A suite's full report."""
        found = document(self.plan(suite), self.rows(suite), self.claims(suite))
        also = [line for published in self.sets for line in published.notes(suite.name)]
        return replace(found, notes=[*found.notes, *also])

    def _ours(self, suite: Suite, cell: CellName) -> Estimate | None:
        owner = load(cell.suite) if cell.suite else suite
        return known_estimate(self.plan(owner), self.entry(suite, cell))

    def entry(self, suite: Suite, cell: CellName) -> Entry:
        """A cell, of this suite or of the one that it names."""
        owner = load(cell.suite) if cell.suite else suite
        row, _ = owner.find(cell, str(suite.path))
        return self.rows(owner)[owner.numbers[row.key] - 1][list(owner.columns).index(cell.column)]

    def _finished_seeds(self, plan: Plan) -> list[int]:
        """Seeds for which a cell is done; 0 if there is none.

        Jobs without a seed, such as k-NN of an imported encoder, do not count.
        """
        jobs = [job for cell in plan.cells for job in cell.jobs if job.seed is not None]
        found = {job.seed for job in jobs if self.records.state(job) == "done"}
        return sorted(seed for seed in found if seed is not None) or [0]
