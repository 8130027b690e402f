"""The state of a job: from our own records first, then a queue snapshot, then how the scheduler says it ended."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from caebench.files.layout import ATTEMPTS, CHECKPOINTS, FAILURE, JOB, LEASE, METRICS
from caebench.files.lines import read_lines
from caebench.files.result import damage, intact
from caebench.store.holders import HolderId, holder, is_foreign
from caebench.store.judging import judge
from caebench.store.queue import QueueSnapshot
from caebench.store.store import Store, input_names, unreadable_config

BROKEN = ("failed", "damaged", "unknown", "lost", "blocked")  # what depends on such a job is blocked
NO_WORD = "left the queue without a word"
IN_QUEUE = ("queued", "running", "held", "suspended")  # states of a job that its scheduler has
Status = tuple[str, str]  # a job's state and the reason for it


@dataclass(frozen=True)
class Statuses:
    """The states of jobs at one time: from our own records, then the queues, then how schedulers say they ended."""

    store: Store
    queues: Mapping[str, QueueSnapshot] = field(default_factory=dict[str, QueueSnapshot])  # by scheduler
    _known: dict[Path, Status] = field(default_factory=dict[Path, Status])

    def of(self, folder: Path) -> Status:
        """A job's state and the reason for it."""
        if folder not in self._known:
            self._known[folder] = self._find(folder)
        return self._known[folder]

    def _find(self, folder: Path) -> Status:
        state = self.store.state_at(folder)
        if state in ("done", "failed"):
            return state, failure_of(folder) if state == "failed" else ""
        if state == "damaged":
            return state, damage(folder) or ""
        if state == "unknown":
            return state, unreadable_config(folder) or ""
        job = HolderId.of(lease := holder(folder))
        snapshot = self.snapshot_of(job)
        if job is None or snapshot is None:
            if state == "running":
                return state, ""
            return self._blocked(folder) or (state, self.store.changed_input(folder) or _silent(folder, lease))
        queued = snapshot.jobs.get(job.id)
        if queued is None:
            if is_foreign(lease) and job.id not in snapshot.ends and (held := judge(folder / LEASE, snapshot)).is_live:
                return ("running" if lease.get("stale_after") else "queued"), held.words  # hidden from this user
            return self._gone(folder, snapshot, job.id, is_ours="cancelled" in lease)
        if queued.can_never_start:
            return self._blocked(folder) or ("blocked", "a job that it waited for is gone")
        if queued.stalled:
            return queued.stalled, "" if queued.is_running else queued.reason
        if queued.is_running and lease.get("purpose") == "pack" and not _has_begun(folder, job):
            return "queued", f"in {snapshot.title} job {job.id}, which runs others first"
        return ("running", "") if queued.is_running else ("queued", queued.reason)

    def snapshot_of(self, job: HolderId | None) -> QueueSnapshot | None:
        """The snapshot that has a scheduler's job; None if that scheduler was not asked."""
        return self.queues.get(job.scheduler) if job else None

    def _gone(self, folder: Path, snapshot: QueueSnapshot, job_id: str, is_ours: bool) -> Status:
        """The status of a job that left the queue without a result; `is_ours`: `caebench cancel` removed it."""
        tries, end = attempts(folder), snapshot.ends.get(job_id)
        stopped = tries[-1].get("stopped_by") if tries else None
        saved = "; resumes from its checkpoint" if (folder / CHECKPOINTS).exists() else ""
        cancelled = end is not None and end.how == "cancelled"
        if is_ours or (cancelled and tries):
            return "cancelled", ("cancelled" if tries else "cancelled before it started") + saved
        if blocked := self._blocked(folder):  # a scheduler cancels the dependents of a failed job
            return blocked
        if cancelled:
            return "cancelled", "cancelled before it started"
        if (folder / FAILURE).exists():
            return "failed", failure_of(folder)
        if stopped == "SIGTERM" and end is None:
            return "cancelled", f"cancelled or preempted; {snapshot.title} has no account of which{saved}"
        if stopped is not None and end is not None and end.how == "exited":
            return "lost", f"stopped by {stopped}, and not requeued{saved}"
        return "lost", (end.words if end else NO_WORD) + saved

    def _blocked(self, folder: Path) -> Status | None:
        """The status of a job with an input that can never be done; None if all can."""
        names = input_names(intact(folder, JOB))
        inputs = {name: self.of(self.store.at(name))[0] for name in names}
        broken = [f"{name} ({state})" for name, state in inputs.items() if state in BROKEN]
        return ("blocked", f"depends on {', '.join(broken)}") if broken else None


def _silent(folder: Path, lease: Mapping[str, Any]) -> str:
    """Whose heartbeats have ended, in words: a wrong clock here would show that, too."""
    return judge(folder / LEASE).words if lease.get("host", socket.gethostname()) != socket.gethostname() else ""


def failure_of(folder: Path) -> str:
    """Why a job failed, in its own words."""
    return str(intact(folder, FAILURE).get("error", f"{FAILURE} is damaged; the job's log has more"))


def attempts(folder: Path) -> list[dict[str, Any]]:
    """Every attempt at a job, with how it ended, if known."""
    found: list[dict[str, Any]] = []
    for facts in read_lines(folder / ATTEMPTS):
        if facts.get("begins") is not None:
            found.append(facts)
        elif found and facts.get("pid") == found[-1].get("pid"):  # a slice that stopped before it began has another
            found[-1] |= facts
    return found


def _has_begun(folder: Path, job: HolderId) -> bool:
    tries = attempts(folder)
    return bool(tries) and HolderId.of(tries[-1]) == job


def last_activity(folder: Path) -> float | None:
    """When a job last wrote metrics, in seconds since the epoch; None: never."""
    path = folder / METRICS
    return path.stat().st_mtime if path.exists() else None
