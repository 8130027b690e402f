"""What every process of a SLURM job runs. submitit pickles this by name, so the code is the snapshot's.

SIGUSR2 comes before the time limit or a preemption: the training loop saves and returns, and the job requeues itself.
After a plain SIGTERM it does so only in the grace time of a preemption, so a user's scancel is final. A job that SLURM
starts again after it has finished finds its result and returns (ADR 14).
"""

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from caebench.execution import provenance
from caebench.execution.attempt import Outcome
from caebench.execution.recording import log_attempt, record_error
from caebench.execution.schedulers.base import SchedulerJob
from caebench.execution.schedulers.slurm import rendezvous
from caebench.execution.schedulers.slurm.queue import NAME, PATIENCE, TITLE, cause, complete, queued_among, requeue
from caebench.execution.worker import run_jobs
from caebench.files.atomic import now, write_json
from caebench.files.layout import FAILURE
from caebench.specs.plugin import PluginError
from caebench.specs.plugins import use
from caebench.specs.progress import no_progress
from caebench.specs.site import Site
from caebench.store.holders import HolderId, holder_id
from caebench.store.lease import is_held
from caebench.store.queue import QueueSnapshot
from caebench.store.state import attempts, failure_of
from caebench.store.store import Store

WARNING = "SIGUSR2"  # submitit's choice
CHANGED = "The snapshot of the code was changed or deleted. Submit the job again."
STOPPED = 255  # exit status after a requeue, as submitit's
REQUEUED_AFTER = ("time limit", "preemption")  # causes after which a job asks for its next slice


class Payload:
    """One job of a plan, or several that share a pass, as one SLURM job."""

    def __init__(self, folders: Sequence[Path], store: Path, site: Site, code: Mapping[str, Any] | None = None) -> None:
        self.folders, self.store, self.site = tuple(folders), store, site
        self.code = code  # that it was submitted with

    def __call__(self) -> str:
        """Run or resume the jobs without a result.

        Raises:
            RuntimeError: one failed, so that its dependents never start; or this is not the code of the submission.
        """
        from caebench.execution.logs import write_plain_logs

        missing = self.missing
        if not missing:
            return "done"
        self._check_code(missing)
        write_plain_logs()
        self._meet(missing)
        outcomes, stopped_by = self.run(missing)
        if "stopped" in outcomes.values():
            if is_first_process():
                self._leave([folder for folder, outcome in outcomes.items() if outcome == "stopped"], stopped_by)
            return "stopped"
        for folder, outcome in outcomes.items():
            if outcome == "failed":
                raise RuntimeError(_why(folder))
        return "done"

    def _meet(self, missing: Sequence[Path]) -> None:
        """Tell this process where it meets the others; if it cannot be known, the jobs have failed."""
        try:
            rendezvous.export(own_id())
        except Exception as error:
            for folder in missing if is_first_process() else ():
                if is_held(folder, HolderId(NAME, own_id())):
                    (folder / FAILURE).unlink(missing_ok=True)
                    record_error(folder, error)
            raise

    def _check_code(self, missing: Sequence[Path]) -> None:
        """Register the site's plug-ins, and check that the code of this process is that of the submission.

        Raises:
            RuntimeError: it is not, or a plug-in is broken; the jobs have failed.
        """
        if (error := self._wrong_code()) is None:
            return
        for folder in missing if is_first_process() else ():
            write_json(folder / FAILURE, {"error": error, "trace": "", "time": now()})
        raise RuntimeError(error)

    def _wrong_code(self) -> str | None:
        try:
            use(self.site.plugins, self.site.plugins_path)
        except PluginError as error:
            return str(error)
        if self.code is None:
            return None
        running = provenance.code()
        if running["sha256"] != self.code["sha256"]:
            submitted = provenance.describe(self.code)
            return (
                f"submitted with {submitted}, but {provenance.REPOSITORY} has {provenance.describe(running)}. {CHANGED}"
            )
        hashes = {one["module"]: one["sha256"] for one in running.get("plugins", [])}
        wrong = [one["module"] for one in self.code.get("plugins", []) if hashes.get(one["module"]) != one["sha256"]]
        if wrong:
            return f"the plug-in {wrong[0]} is not as it was at submission. {CHANGED}"
        return None

    @property
    def missing(self) -> list[Path]:
        """The folders of jobs that are not done."""
        store = Store(self.store)
        return [folder for folder in self.folders if store.state_at(folder) != "done"]

    def run(self, missing: Sequence[Path]) -> tuple[Mapping[Path, Outcome], str | None]:
        """Run some of the jobs; returns their outcomes, and the signal that stopped them, if any."""
        outcomes = run_jobs(dict.fromkeys(missing, no_progress), self.store, self.site, own_job(missing))
        stopped = [attempts(folder)[-1] for folder, outcome in outcomes.items() if outcome == "stopped"]
        return outcomes, stopped[0].get("stopped_by") if stopped else None

    def _leave(self, stopped: Sequence[Path], stopped_by: str | None) -> None:
        """After a stop: record why, and requeue; or fail, so that dependents never start."""
        why = cause(own_id(), warned=stopped_by == WARNING)
        for folder in stopped:
            if tries := attempts(folder):  # a job that waited inside a pack has none
                log_attempt(folder, cause=why, pid=tries[-1]["pid"])
        if why not in REQUEUED_AFTER:
            raise RuntimeError(f"stopped by {stopped_by}, and saved")
        requeue(own_id())

    def checkpoint(self) -> NoReturn:
        """Called by submitit on a warning outside of a training loop: requeue the job, which resumes from its files.

        submitit would ask for the requeue only once.
        """
        why = cause(own_id(), warned=True)
        for folder in self.missing:
            log_attempt(folder, cause=why)
        requeue(own_id())
        raise SystemExit(STOPPED)


def _why(folder: Path) -> str:
    """Why a job failed; a killed one has left no record."""
    if (folder / FAILURE).exists():
        return failure_of(folder)
    return f"{folder.name}: its process died (out of memory?)"


def own_id() -> str:
    """This job's id, as squeue and `caebench status` print it: `12` or `12_3`."""
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    return f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}" if array else os.environ["SLURM_JOB_ID"]


def own_job(folders: Iterable[Path]) -> SchedulerJob:
    """This job, and whether those other jobs are queued that the leases of some folders name.

    Raises:
        SchedulerSilent: squeue does not answer for minutes.
    """
    now, own = time.time(), HolderId(NAME, own_id())
    holders = {found for folder in folders if (found := holder_id(folder)) and found.scheduler == NAME}
    others = {one.id for one in holders - {own}} if is_first_process() else set[str]()
    jobs = queued_among(others, own.id) if others else {}
    snapshot = complete(QueueSnapshot(NAME, TITLE, now, jobs), others, PATIENCE)
    return SchedulerJob(own, snapshot, os.environ.get("SLURM_RESTART_COUNT"))


def is_first_process() -> bool:
    """Whether this is the job's first process."""
    return os.environ.get("SLURM_PROCID", "0") == "0"
