"""The interface of a scheduler: submit jobs, query and cancel them."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from caebench.specs.job import Job
from caebench.specs.site import Site
from caebench.store.holders import HolderId
from caebench.store.judging import Holding
from caebench.store.queue import QueueSnapshot
from caebench.store.store import Store


class SchedulerSilent(ValueError):
    """A scheduler does not answer now, or answers with an error; it may answer later."""


@dataclass(frozen=True)
class SchedulerJob:
    """The scheduler's job that this process is part of."""

    holder: HolderId  # in the leases of the jobs that it runs
    snapshot: QueueSnapshot  # at its start
    restart: str | None = None  # how often the scheduler has started it again


@dataclass(frozen=True)
class SubmitOptions:
    """How a plan is submitted; no result depends on it."""

    parallelism: int | None = None  # concurrent jobs of an array
    separate: bool = False  # no two probes share a pass
    pack: int | None = None  # concurrent jobs on a device, if they need no more than one


class Submitter(ABC):
    """Submits plans to a site's scheduler, with one snapshot of its queue."""

    snapshot: QueueSnapshot
    refused: dict[str, Holding]  # by job: who has the lease of one that `submit` left out

    @abstractmethod
    def missing(self, jobs: Sequence[Job]) -> list[Job]:
        """Jobs that are neither done nor pending or running."""

    @abstractmethod
    def is_queued(self, job: Job) -> bool:
        """Whether a job was in the queue."""

    @abstractmethod
    def submit(self, jobs: Sequence[Job], code: Path | None) -> dict[str, str]:
        """Submit the missing jobs, to run that source; returns the scheduler's id of each job, by the job's.

        Raises:
            ValueError: the scheduler rejects a job, or the site's settings cannot run one.
        """

    @abstractmethod
    def preview(self, jobs: Sequence[Job], code: Path | None) -> list[str]:
        """What `submit` would give to the scheduler.

        Raises:
            ValueError: the site's settings cannot run a job.
        """


class Scheduler(ABC):
    """A kind of scheduler. Its methods ask the cluster that this machine belongs to."""

    name: ClassVar[str]  # of its section in a site file, of its folder in the store, and in leases
    title: ClassVar[str]  # for people

    @abstractmethod
    def is_present(self) -> bool:
        """Whether this machine can ask it."""

    @abstractmethod
    def submitter(self, site: Site, store: Store, options: SubmitOptions) -> Submitter:
        """The submitter of a store's jobs to a site."""

    @abstractmethod
    def query(self, users: Collection[str], job_ids: Collection[str]) -> QueueSnapshot:
        """The queued jobs of some users, and how those of some jobs ended that are not in the queue.

        Raises:
            SchedulerSilent: it does not answer now.
        """

    @abstractmethod
    def cancel(self, job_ids: Iterable[str]) -> None:
        """Cancel jobs; they are not requeued."""

    @abstractmethod
    def requeue(self, job_id: str) -> None:
        """Requeue a job under its id; called from inside the job before it exits."""

    @abstractmethod
    def cause(self, job_id: str, warned: bool) -> str:
        """Why a running job is being stopped: `time limit`, `preemption`, or another cause, which is final."""

    @abstractmethod
    def log_files(self, root: Path, job_ids: Iterable[str]) -> list[Path]:
        """The logs of jobs, in a store's folder."""

    @abstractmethod
    def partitions(self) -> list[str]:
        """Every partition of the cluster, the default one first.

        Raises:
            ValueError: there is no such cluster here.
        """

    @abstractmethod
    def first_site_file(self, store: Path, partition: str) -> str:
        """A site file for a partition, to be completed by its reader."""

    @abstractmethod
    def probe(self, site: Site, partitions: Iterable[str]) -> Mapping[str, dict[str, Any]]:
        """The report of a short job on each partition, or why there is none."""
