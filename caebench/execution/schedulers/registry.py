"""The schedulers by name, and queries to those that the records of jobs name."""

import getpass
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from caebench.execution.schedulers.base import Scheduler
from caebench.execution.schedulers.slurm.scheduler import SlurmScheduler
from caebench.files.layout import FAILURE, name_of
from caebench.specs.site import Site
from caebench.store.holders import HolderId, holder, holder_id
from caebench.store.queue import QueueSnapshot
from caebench.store.state import attempts

SCHEDULERS: dict[str, Scheduler] = {"slurm": SlurmScheduler()}  # by the section of a site file


def scheduler_of(site: Site) -> Scheduler | None:
    """The scheduler that takes a site's jobs; None: they run on this machine."""
    return SCHEDULERS[site.scheduler] if site.scheduler else None


def present_scheduler() -> Scheduler:
    """The scheduler of this machine's cluster; without one, the first, whose errors say what is missing."""
    known = list(SCHEDULERS.values())
    return next((scheduler for scheduler in known if scheduler.is_present()), known[0])


def query(folders: Iterable[Path]) -> dict[str, QueueSnapshot]:
    """One snapshot of each scheduler that leases of some folders name, or a failed attempt, if this machine can ask it.

    Raises:
        SchedulerSilent: a scheduler does not answer now.
    """
    users: dict[str, set[str]] = {}
    ids: dict[str, set[str]] = {}
    for facts in (facts for folder in folders for facts in (holder(folder), _failed_attempt(folder))):
        if (job := HolderId.of(facts)) is not None:
            users.setdefault(job.scheduler, set()).add(str(facts.get("user", getpass.getuser())))
            ids.setdefault(job.scheduler, set()).add(job.id)
    known = {name: SCHEDULERS[name] for name in ids if name in SCHEDULERS}
    return {name: one.query(users[name], ids[name]) for name, one in known.items() if one.is_present()}


def _failed_attempt(folder: Path) -> dict[str, Any]:
    """The last attempt at a failed job, which no longer has a lease; empty for other jobs."""
    tries = attempts(folder) if (folder / FAILURE).exists() else []
    return tries[-1] if tries else {}


def queued_holders(folders: Sequence[Path]) -> set[HolderId]:
    """The scheduler jobs of some folders that are in a queue.

    Raises:
        ValueError: this machine cannot ask the scheduler of one.
        SchedulerSilent: it does not answer now.
    """
    queues = query(folders)
    holders = {found: folder for folder in folders if (found := holder_id(folder))}
    for one, folder in holders.items():
        if one.scheduler not in queues:
            title = SCHEDULERS[one.scheduler].title if one.scheduler in SCHEDULERS else one.scheduler
            raise ValueError(
                f"{name_of(folder)}: was submitted as {title} job {one.id}, and this machine has no {title} to ask "
                "whether it is still queued. Run this command on a machine of the cluster."
            )
    return {one for one in holders if one.id in queues[one.scheduler].jobs}


def cancel(holders: Iterable[HolderId]) -> None:
    """Cancel scheduler jobs.

    Raises:
        ValueError: a scheduler cannot be asked.
    """
    ids: dict[str, list[str]] = {}
    for scheduler, job_id in holders:
        ids.setdefault(scheduler, []).append(job_id)
    for name, some in ids.items():
        SCHEDULERS[name].cancel(some)


def log_files(folder: Path, root: Path) -> list[Path]:
    """The logs of a job's scheduler jobs, oldest first: of its attempts, and of one that never began an attempt."""
    ids: dict[str, dict[str, None]] = {}
    for facts in (*attempts(folder), holder(folder)):
        if (job := HolderId.of(facts)) is not None and job.scheduler in SCHEDULERS:
            ids.setdefault(job.scheduler, {})[job.id] = None
    found = [path for name, some in ids.items() for path in SCHEDULERS[name].log_files(root, some)]
    return sorted(found, key=lambda path: path.stat().st_mtime)
