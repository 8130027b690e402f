"""A snapshot of a scheduler's queue, in our terms: the jobs in it, and how others ended."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple


class QueuedJob(NamedTuple):
    """A job in the queue."""

    state: Literal["pending", "running"]
    reason: str  # why it is pending, in the scheduler's words
    used_seconds: float  # of this slice
    limit_seconds: float | None  # of a slice; None: no limit
    nodes: str
    can_never_start: bool = False  # a job that it waits for has failed
    stalled: Literal["held", "suspended"] | None = None  # by a user or an administrator, until one of them ends it

    @property
    def is_running(self) -> bool:
        """Whether it has nodes."""
        return self.state == "running"


class Ending(NamedTuple):
    """How a job left the queue."""

    how: Literal["cancelled", "exited", "stopped"]  # by a user; on its own; by the scheduler or its node
    words: str = ""


@dataclass(frozen=True)
class QueueSnapshot:
    """What a scheduler knew at one time."""

    scheduler: str  # its name in site files and leases
    title: str  # its name for people
    time: float = 0.0  # seconds since the epoch, before it was asked
    jobs: Mapping[str, QueuedJob] = field(default_factory=dict[str, QueuedJob])  # pending or running
    ends: Mapping[str, Ending] = field(default_factory=dict[str, Ending])  # of other jobs, if known

    def can_run(self, job_id: str) -> bool:
        """Whether a job runs, or may still start."""
        return job_id in self.jobs and not self.jobs[job_id].can_never_start
