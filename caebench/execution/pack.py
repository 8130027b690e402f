"""Small jobs as one SLURM job, some of them at once on its device: a plan that runs inside (ADR 23)."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from caebench.config.site import Site
from caebench.config.stage import RESULT
from caebench.execution.local import Inside, Outcomes, Watcher, run_plan
from caebench.execution.payload import Payload, own_id
from caebench.execution.queue import look_now
from caebench.execution.worker import Outcome, require_inputs
from caebench.plan.graph import Job
from caebench.plan.standing import attempts
from caebench.plan.store import Store

SAVING = 0.5  # of a warning's time; what has not stopped by then is ended, and starts over


class Pack(Payload):
    """Chains of jobs: what rests on another of them waits for it here, not in the queue."""

    def __init__(self, folders: Sequence[Path], store: Path, site: Site, at_once: int, separate: bool) -> None:
        super().__init__(folders, store, site)
        self.at_once, self.separate = at_once, separate

    def run(self, missing: Sequence[Path]) -> tuple[Mapping[Path, Outcome], str | None]:
        """Run a plan of what is missing, but for what rests on something outside that is not done.

        Raises:
            ValueError: all of it does.
        """
        assert self.site.slurm is not None, "only a site with [slurm] packs"
        store = Store(self.store)
        failed = [folder for folder in missing if _has_failed(folder)]
        ready = _ready([store.read_job(folder) for folder in missing if folder not in failed], store)
        inside = Inside(own_id(), look_now(), self.site.slurm.warning_seconds * SAVING, len(os.sched_getaffinity(0)))
        plan = {one.id: one for job in ready for one in (*job.ancestors(), job)}
        outcomes = run_plan(list(plan.values()), store, self.site, NOBODY, self.at_once, self.separate, inside)
        ended: dict[Path, Outcome] = dict.fromkeys(failed, "failed")
        ended |= {store.folder(job): found for job in ready if (found := _outcome(job, outcomes))}
        return ended, outcomes.stopped_by


def _has_failed(folder: Path) -> bool:
    """Whether a job failed in an earlier slice of this SLURM job: then it is not tried again."""
    tries = attempts(folder)
    return bool(tries) and tries[-1].get("slurm") == own_id() and tries[-1].get("outcome") == "failed"


def _ready(jobs: Sequence[Job], store: Store) -> list[Job]:
    """Those that rest on nothing outside that is not done.

    Raises:
        ValueError: all of them do.
    """
    ours = {job.id for job in jobs}
    outside = {one.id: one for job in jobs for one in job.ancestors() if one.id not in ours}
    absent = {job_id for job_id, one in outside.items() if not (store.folder(one) / RESULT).exists()}
    ready = [job for job in jobs if not absent & {one.id for one in job.ancestors()}]
    if not ready:
        require_inputs({one.kind: store.folder(one) for one in outside.values()})
    return ready


NOBODY = Watcher(lambda job: None, lambda job, done, total, shown: None, lambda job, outcome, reason: None)


def _outcome(job: Job, outcomes: Outcomes) -> Outcome | None:
    """A job's end in a payload's words; None for one that is blocked by a failure, and so has no end."""
    match outcomes.by_id[job.id]:
        case "done" | "cached":
            return "done"
        case "blocked":
            return "stopped" if outcomes.stopped_by else None
        case ended:
            return ended
