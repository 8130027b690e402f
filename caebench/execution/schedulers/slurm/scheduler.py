"""SLURM as one of the schedulers. Submission is imported only when it is needed: most verbs only query the queue."""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caebench.execution.schedulers.base import Scheduler, SubmitOptions
from caebench.execution.schedulers.slurm import queue
from caebench.specs.site import Site
from caebench.store.queue import QueueSnapshot
from caebench.store.store import Store

if TYPE_CHECKING:
    from caebench.execution.schedulers.slurm.submit import Cluster


class SlurmScheduler(Scheduler):
    """SLURM, through its commands and submitit."""

    name, title = queue.NAME, queue.TITLE

    def is_present(self) -> bool:
        """Whether squeue is installed."""
        return queue.is_installed()

    def submitter(self, site: Site, store: Store, options: SubmitOptions) -> "Cluster":
        """The submitter, which uses submitit."""
        from caebench.execution.schedulers.slurm.submit import Cluster

        return Cluster(site, store, options)

    def query(self, users: Collection[str], job_ids: Collection[str]) -> QueueSnapshot:
        """squeue and sacct, once each."""
        return queue.query(users, job_ids)

    def cancel(self, job_ids: Iterable[str]) -> None:
        """Scancel."""
        queue.cancel(job_ids)

    def requeue(self, job_id: str) -> None:
        """Scontrol requeue."""
        queue.requeue(job_id)

    def cause(self, job_id: str, warned: bool) -> str:
        """Scontrol show job."""
        return queue.cause(job_id, warned)

    def log_files(self, root: Path, job_ids: Iterable[str]) -> list[Path]:
        """Standard output and error of each process, as submitit names them."""
        return [path for job_id in job_ids for path in sorted((root / self.name).glob(f"{job_id}_[0-9]*_log.*"))]

    def partitions(self) -> list[str]:
        """Sinfo."""
        from caebench.execution.schedulers.slurm import site_check

        return [partition.name for partition in site_check.partitions()]

    def first_site_file(self, store: Path, partition: str) -> str:
        """From sinfo and scontrol."""
        from caebench.execution.schedulers.slurm import site_check

        return site_check.first_file(store, next(p for p in site_check.partitions() if p.name == partition))

    def probe(self, site: Site, partitions: Iterable[str]) -> Mapping[str, dict[str, Any]]:
        """A job of about a minute on each partition."""
        from caebench.execution.schedulers.slurm import site_check

        return site_check.probe(site, partitions)
