"""Packs: small jobs as one SLURM job that runs their plan, several at once on its device (ADR 23)."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from caebench.execution.attempt import Outcome, require_inputs
from caebench.execution.local import Outcomes, Watcher, run_plan
from caebench.execution.pool import Allocation
from caebench.execution.schedulers.slurm.payload import Payload, own_id, own_job
from caebench.execution.schedulers.slurm.queue import NAME
from caebench.specs.job import Job
from caebench.specs.site import Site
from caebench.store.holders import HolderId
from caebench.store.state import attempts
from caebench.store.store import Store

SAVING = 0.5  # of the warning time; jobs that have not stopped by then are killed, and resume later


class Pack(Payload):
    """Chains of jobs: dependents inside the pack wait in this process, not in the queue."""

    def __init__(
        self,
        folders: Sequence[Path],
        store: Path,
        site: Site,
        at_once: int,
        separate: bool,
        code: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(folders, store, site, code)
        self.at_once, self.separate = at_once, separate

    def run(self, missing: Sequence[Path]) -> tuple[Mapping[Path, Outcome], str | None]:
        """Run a plan of the missing jobs, without those that depend on an outside job that is not done.

        Raises:
            ValueError: all of them do.
        """
        assert self.site.slurm is not None, "only a site with [slurm] packs"
        store = Store(self.store)
        failed = [folder for folder in missing if _has_failed(folder)]
        ready = _ready([store.read_job(folder) for folder in missing if folder not in failed], store)
        patience = self.site.slurm.warning_seconds * SAVING
        allocation = Allocation(own_job(missing), patience, len(os.sched_getaffinity(0)))
        plan = {one.id: one for job in ready for one in (*job.ancestors(), job)}
        outcomes = run_plan(list(plan.values()), store, self.site, NOBODY, self.at_once, self.separate, allocation)
        ended: dict[Path, Outcome] = dict.fromkeys(failed, "failed")
        ended |= {store.folder(job): found for job in ready if (found := _outcome(job, outcomes))}
        return ended, outcomes.stopped_by


def _has_failed(folder: Path) -> bool:
    """Whether a job failed in an earlier slice of this SLURM job, so that it is not tried again."""
    tries = attempts(folder)
    return bool(tries) and HolderId.of(tries[-1]) == HolderId(NAME, own_id()) and tries[-1].get("outcome") == "failed"


def _ready(jobs: Sequence[Job], store: Store) -> list[Job]:
    """Those whose outside dependencies are all done.

    Raises:
        ValueError: there are none.
    """
    ours = {job.id for job in jobs}
    outside = {one.id: one for job in jobs for one in job.ancestors() if one.id not in ours}
    absent = {job_id for job_id, one in outside.items() if store.state(one) != "done"}
    ready = [job for job in jobs if not absent & {one.id for one in job.ancestors()}]
    if not ready:
        require_inputs({one.kind: store.folder(one) for one in outside.values()}, store)
    return ready


NOBODY = Watcher(
    started=lambda job: None,
    progressed=lambda job, done, total, shown: None,
    elsewhere=lambda job, by_whom: None,
    ended=lambda job, outcome, reason: None,
)


def _outcome(job: Job, outcomes: Outcomes) -> Outcome | None:
    """A job's outcome for the payload; None if a failure blocks it, so that it has none."""
    match outcomes.by_id[job.id]:
        case "done" | "cached":
            return "done"
        case "blocked":
            return "stopped" if outcomes.stopped_by else None
        case ended:
            return ended
