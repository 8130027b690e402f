"""What has become of a job: our own records first, then one look at SLURM's queue, then how SLURM says it ended."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from caebench.plan.files import read_json
from caebench.plan.lease import holder
from caebench.plan.store import ATTEMPTS, CHECKPOINTS, FAILURE, JOB, folder_state

ENDS = {  # SLURM's word for how a job ended -> ours
    "TIMEOUT": "its time was up",
    "PREEMPTED": "preempted, and not requeued",
    "NODE_FAIL": "its node failed",
    "OUT_OF_MEMORY": "out of memory",
    "BOOT_FAIL": "its node did not start",
    "DEADLINE": "past its deadline",
}


RUNNING = ("RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED", "STOPPED", "RESIZING", "SIGNALING", "STAGE_OUT")


class Queued(NamedTuple):
    """A job in the queue, in SLURM's words."""

    state: str
    reason: str
    used: str  # of its time in this slice
    limit: str
    nodes: str

    @property
    def is_running(self) -> bool:
        """Whether it has nodes."""
        return self.state in RUNNING

    @property
    def can_never_start(self) -> bool:
        """Whether what it waits for has failed."""
        return self.reason == "DependencyNeverSatisfied"


@dataclass(frozen=True)
class Queue:
    """One look at SLURM: what is pending or running, and how other jobs ended."""

    queued: Mapping[str, Queued] = field(default_factory=dict[str, Queued])
    ends: Mapping[str, str] = field(default_factory=dict[str, str])


def standing(folder: Path, queue: Queue | None = None) -> tuple[str, str]:
    """A job's state and the reason for it: our own records first, then the queue, then how SLURM says it ended."""
    state, slurm_id = folder_state(folder), holder(folder).get("slurm")
    if state in ("done", "failed"):
        return state, ""
    if slurm_id is not None and queue is not None and (queued := queue.queued.get(slurm_id)) is not None:
        if not queued.can_never_start:
            return ("running", "") if queued.is_running else ("queued", queued.reason)
    elif state == "running" and (slurm_id is None or queue is None):
        return state, ""
    if broken := _broken_inputs(folder):
        return "blocked", f"rests on {', '.join(broken)}"
    return _lost(folder, queue.ends.get(slurm_id)) if slurm_id is not None and queue is not None else (state, "")


def _broken_inputs(folder: Path) -> list[str]:
    """Inputs that have failed, or rest on one that has."""
    store = folder.parents[1]
    inputs = read_json(folder / JOB)["inputs"].values() if (folder / JOB).exists() else ()
    return [name for name in inputs if folder_state(store / name) == "failed" or _broken_inputs(store / name)]


def _lost(folder: Path, end: str | None) -> tuple[str, str]:
    """A job that left the queue without a result."""
    if (folder / FAILURE).exists():
        return "failed", ""
    tries = attempts(folder)
    stopped = tries[-1].get("stopped_by") if tries else None
    if end == "CANCELLED" or (end is None and stopped == "SIGTERM"):
        return "cancelled", "scancelled" if tries else "cancelled before it started"
    saved = "; goes on from its checkpoint" if (folder / CHECKPOINTS).exists() else ""
    return "lost", ENDS.get(end or "", "left the queue without a word") + saved


def attempts(folder: Path) -> list[dict[str, Any]]:
    """Every attempt at a job, with how it ended where that is known."""
    path = folder / ATTEMPTS
    found: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf8").splitlines() if path.exists() else []:
        facts = json.loads(line)
        if "begins" in facts:
            found.append(facts)
        elif found:
            found[-1] |= facts
    return found
