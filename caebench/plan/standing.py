"""What has become of a job: our own records first, then one look at SLURM's queue, then how SLURM says it ended."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from caebench.config.stage import METRICS_FILE
from caebench.plan.files import read_json
from caebench.plan.lease import holder
from caebench.plan.store import ATTEMPTS, CHECKPOINTS, FAILURE, JOB, folder_state

NO_WORD = "left the queue without a word"
ENDS = {  # SLURM's word for how a job ended -> ours
    "TIMEOUT": "its time was up",
    "PREEMPTED": "preempted, and not requeued",
    "NODE_FAIL": "its node failed, and it was not requeued",
    "OUT_OF_MEMORY": "out of memory: give it more memory_gb, or lower per_device_batch",
    "BOOT_FAIL": "its node did not start",
    "DEADLINE": "past its deadline",
    "FAILED": "its process died without a word: killed, or never started; see `caebench logs`",
    "COMPLETED": "ended without a result",
}
RUNNING = ("RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED", "STOPPED", "RESIZING", "SIGNALING", "STAGE_OUT")


class Queued(NamedTuple):
    """A job in the queue, in SLURM's words."""

    state: str
    reason: str
    used: str  # of its time in this slice
    limit: str  # of a slice
    nodes: str

    @property
    def is_running(self) -> bool:
        """Whether it has nodes."""
        return self.state in RUNNING

    @property
    def used_seconds(self) -> float:
        """Of this slice."""
        return slurm_seconds(self.used) or 0.0

    @property
    def limit_seconds(self) -> float | None:
        """Of a slice; None: no limit."""
        return slurm_seconds(self.limit)

    @property
    def can_never_start(self) -> bool:
        """Whether what it waits for has failed."""
        return self.reason == "DependencyNeverSatisfied"


@dataclass(frozen=True)
class Queue:
    """One look at SLURM: what is pending or running, and how other jobs ended."""

    queued: Mapping[str, Queued] = field(default_factory=dict[str, Queued])
    ends: Mapping[str, str] = field(default_factory=dict[str, str])


def slurm_seconds(text: str) -> float | None:
    """Seconds out of `2-12:00:00`, `12:00:00`, `30:00`, `45`; None where SLURM names no time (UNLIMITED, infinite)."""
    days, _, clock = text.rpartition("-")
    parts = clock.split(":")
    if not all(part.isdigit() for part in parts):
        return None
    hours, minutes, seconds = ([0, 0, *map(int, parts)])[-3:]
    return 86400.0 * int(days or 0) + 3600.0 * hours + 60.0 * minutes + seconds


Standing = tuple[str, str]  # a job's state and the reason for it


def standing(folder: Path, queue: Queue | None = None, known: dict[Path, Standing] | None = None) -> Standing:
    """A job's state and the reason for it: our own records first, then the queue, then how SLURM says it ended.

    `known` keeps what was found, for those who ask after many jobs at one moment.
    """
    known = {} if known is None else known
    if folder not in known:
        known[folder] = _stand(folder, queue, known)
    return known[folder]


def _stand(folder: Path, queue: Queue | None, known: dict[Path, Standing]) -> Standing:
    state, lease = folder_state(folder), holder(folder)
    if state in ("done", "failed"):
        return state, _failure(folder) if state == "failed" else ""
    if queue is None or (slurm_id := lease.get("slurm")) is None:
        return (state, "") if state == "running" else _blocked(folder, queue, known) or (state, "")
    queued = queue.queued.get(slurm_id)
    if queued is None:
        return _gone(folder, queue, queue.ends.get(slurm_id), "cancelled" in lease, known)
    if queued.can_never_start:
        return _blocked(folder, queue, known) or ("blocked", "what it waited for is gone")
    if queued.is_running and lease.get("purpose") == "pack" and not _has_begun(folder, slurm_id):
        return "queued", f"in SLURM job {slurm_id}, which runs others first"
    return ("running", "") if queued.is_running else ("queued", queued.reason)


def _gone(folder: Path, queue: Queue, end: str | None, is_ours: bool, known: dict[Path, Standing]) -> Standing:
    """A job that left the queue without a result; whether it was `caebench cancel` that took it out."""
    tries = attempts(folder)
    stopped = tries[-1].get("stopped_by") if tries else None
    saved = "; goes on from its checkpoint" if (folder / CHECKPOINTS).exists() else ""
    if is_ours or (end == "CANCELLED" and tries):
        return "cancelled", ("cancelled" if tries else "cancelled before it started") + saved
    if blocked := _blocked(folder, queue, known):  # SLURM cancels what rests on a failure
        return blocked
    if end == "CANCELLED":
        return "cancelled", "cancelled before it started"
    if (folder / FAILURE).exists():
        return "failed", _failure(folder)
    if stopped == "SIGTERM" and end not in ENDS:
        return "cancelled", f"cancelled or preempted; SLURM has no account of which{saved}"
    if stopped is not None and end in ("FAILED", "COMPLETED"):
        return "lost", f"stopped by {stopped}, and not requeued{saved}"
    return "lost", ENDS.get(end or "", NO_WORD) + saved


def _failure(folder: Path) -> str:
    return str(read_json(folder / FAILURE)["error"])


def _blocked(folder: Path, queue: Queue | None, known: dict[Path, Standing]) -> Standing | None:
    """What a job is while one of its inputs can never be done; None while all may be."""
    store = folder.parents[1]
    job: dict[str, Any] = read_json(folder / JOB) if (folder / JOB).exists() else {}
    inputs: list[str] = [*job.get("inputs", {}).values(), *job.get("aids", {}).values()]
    states = {name: standing(store / name, queue, known)[0] for name in inputs}
    broken = [f"{name} ({state})" for name, state in states.items() if state in ("failed", "lost", "blocked")]
    return ("blocked", f"rests on {', '.join(broken)}") if broken else None


def attempts(folder: Path) -> list[dict[str, Any]]:
    """Every attempt at a job, with how it ended where that is known."""
    path = folder / ATTEMPTS
    found: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf8").splitlines() if path.exists() else []:
        facts = json.loads(line)
        if "begins" in facts:
            found.append(facts)
        elif found and facts.get("pid") == found[-1].get("pid"):  # not of a slice that was stopped before it began
            found[-1] |= facts
    return found


def _has_begun(folder: Path, slurm_id: str) -> bool:
    tries = attempts(folder)
    return bool(tries) and tries[-1].get("slurm") == slurm_id


def last_sign(folder: Path) -> float | None:
    """When a job has last written how it gets on, in seconds of the epoch; None: never."""
    path = folder / METRICS_FILE
    return path.stat().st_mtime if path.exists() else None
