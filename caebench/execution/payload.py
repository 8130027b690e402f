"""What a SLURM job runs, in every process of it. submitit pickles this by name, so the code is the snapshot's.

SIGUSR2 comes before the time limit, or before a preemption: the training loop saves and returns, and the job asks for
its own requeue. After a plain SIGTERM it asks only in the grace time of a preemption: a user's scancel stands. A job
that SLURM starts again after its end finds its result, and returns (ADR 14).
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from caebench.config.site import Site
from caebench.config.stage import RESULT
from caebench.execution import rendezvous
from caebench.execution.queue import cause, look_now
from caebench.execution.worker import Outcome, log_attempt, run_jobs, silent
from caebench.plan.files import read_json
from caebench.plan.standing import attempts
from caebench.plan.store import FAILURE

if TYPE_CHECKING:
    from submitit.helpers import DelayedSubmission

WARNING = "SIGUSR2"  # submitit's choice
TRIES = 3  # to ask for a requeue
GOES_ON = ("time limit", "preemption")  # causes after which a job asks for its next slice


class Payload:
    """One job of a plan, or several that share a pass, as one SLURM job."""

    def __init__(self, folders: Sequence[Path], store: Path, site: Site) -> None:
        self.folders, self.store, self.site = tuple(folders), store, site

    def __call__(self) -> str:
        """Run what has no result yet, or go on with it.

        Raises:
            RuntimeError: one failed; so what waits for it never starts.
        """
        from caebench.execution.logs import write_plain_logs

        missing = self.missing
        if not missing:
            return "done"
        write_plain_logs()
        rendezvous.export(own_id())
        outcomes, stopped_by = self.run(missing)
        if "stopped" in outcomes.values():
            if is_first_process():
                self._leave([folder for folder, outcome in outcomes.items() if outcome == "stopped"], stopped_by)
            return "stopped"
        for folder, outcome in outcomes.items():
            if outcome == "failed":
                raise RuntimeError(_why(folder))
        return "done"

    @property
    def missing(self) -> list[Path]:
        """The folders without a result."""
        return [folder for folder in self.folders if not (folder / RESULT).exists()]

    def run(self, missing: Sequence[Path]) -> tuple[Mapping[Path, Outcome], str | None]:
        """Run some of the jobs; what became of each, and which signal stopped them, if one did."""
        outcomes = run_jobs(dict.fromkeys(missing, silent), self.store, self.site, own_id(), look_now())
        stopped = [attempts(folder)[-1] for folder, outcome in outcomes.items() if outcome == "stopped"]
        return outcomes, stopped[0].get("stopped_by") if stopped else None

    def _leave(self, stopped: Sequence[Path], stopped_by: str | None) -> None:
        """After a stop: note why, and ask for a requeue; or fail, so that what waits for it never starts."""
        why = cause(own_id(), warned=stopped_by == WARNING)
        for folder in stopped:
            if tries := attempts(folder):  # none of a job that waited for its turn
                log_attempt(folder, cause=why, pid=tries[-1]["pid"])
        if why not in GOES_ON:
            raise RuntimeError(f"stopped by {stopped_by}, and saved")
        command = ["scontrol", "requeue", own_id()]
        asked = subprocess.run(command)
        for _ in range(TRIES - 1):
            if asked.returncode < 0:  # ended by a signal that SLURM sent to every process of the job
                asked = subprocess.run(command)
        asked.check_returncode()

    def checkpoint(self) -> "DelayedSubmission":
        """For a warning outside of a training loop: start over, from whatever is saved; submitit asks for a requeue."""
        from submitit.helpers import DelayedSubmission

        why = cause(own_id(), warned=True)
        for folder in self.missing:
            log_attempt(folder, cause=why)
        return DelayedSubmission(self)


def _why(folder: Path) -> str:
    """Why a job failed; one that was killed has left no word."""
    path = folder / FAILURE
    return read_json(path)["error"] if path.exists() else f"{folder.name}: its process died (out of memory?)"


def own_id() -> str:
    """This job's id, as squeue and `caebench status` print it: `12` or `12_3`."""
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    return f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}" if array else os.environ["SLURM_JOB_ID"]


def is_first_process() -> bool:
    """Whether this is the job's first process."""
    return os.environ.get("SLURM_PROCID", "0") == "0"
