"""Run a job from its folder, or several in one pass, under their leases."""

import logging
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from caebench.execution.attempt import Outcome, attempt, join
from caebench.execution.recording import log_attempt, record_error
from caebench.execution.schedulers.base import SchedulerJob
from caebench.files.atomic import guarded, now
from caebench.files.layout import FAILURE, LEASE, RESULT
from caebench.specs.progress import Progress, no_progress
from caebench.specs.site import Site
from caebench.store.heartbeat import beating
from caebench.store.holders import HolderId, process_number
from caebench.store.judging import is_live
from caebench.store.lease import LeaseTaken, acquire, is_held, release, require_held, wait_again
from caebench.store.state import last_activity
from caebench.store.store import Store

log = logging.getLogger("caebench")


def run_job(folder: Path, store: Path, site: Site, progress: Progress = no_progress) -> Outcome:
    """Run or resume the job of a folder; every process of a group calls this.

    Raises:
        LeaseTaken: another live process runs it.
    """
    return run_jobs({folder: progress}, store, site)[folder]


def run_jobs(
    jobs: Mapping[Path, Progress],
    store: Path,
    site: Site,
    own_job: SchedulerJob | None = None,
    num_concurrent: int = 1,
) -> dict[Path, Outcome]:
    """Run the job of a folder, or of several that share a pass (`planning.passes`), without those that others run.

    A scheduler job finds its leases by its id after a requeue. `num_concurrent` is the number of such runs on the
    device at once: each counts for its part of the hours.

    Raises:
        LeaseTaken: other live processes run all of them.
    """
    own_id, stale_after = own_job.holder if own_job else None, 60.0 * site.stale_after_minutes
    earlier = {folder: _written(folder / FAILURE) for folder in jobs}
    try:
        group = join(site)
    except Exception as error:  # a name that is not known, a port in use, a process that never came
        return _end_apart(jobs, error, own_job, stale_after, earlier)
    if not group.is_main:
        main = group.of_first(0)  # waits until it has the leases
        with guarded({folder: partial(require_held, folder, own_id, main) for folder in jobs}):
            return attempt(jobs, store, site, group)
    mine = _acquire(jobs, own_job, stale_after, may_leave_out=group.size == 1)
    group.of_first(process_number())
    place = {**HolderId.facts(own_id), "restart": own_job.restart if own_job else None, "processes": group.size}
    finished = _give_back_done(mine, store, own_id) if group.size == 1 else {}
    if not mine:
        return finished
    outcomes: dict[Path, Outcome] = dict.fromkeys(mine, "failed")
    checks = {folder: partial(require_held, folder, own_id) for folder in mine}
    try:
        with beating(mine, partial(is_held, own_id=own_id), stale_after), guarded(checks):
            for folder in mine:
                shared_by = len(mine) * num_concurrent
                log_attempt(folder, begins=now(), seen=last_activity(folder), shared_by=shared_by, **place)
            outcomes |= attempt(mine, store, site, group)
        return outcomes | finished
    except SystemExit:  # a warning outside of a training loop: submitit's handler has requested a requeue
        outcomes = {folder: "done" if (folder / RESULT).exists() else "stopped" for folder in mine}
        raise
    finally:
        for folder, outcome in outcomes.items():
            _leave(folder, outcome, own_id)


def _give_back_done(mine: dict[Path, Progress], store: Path, own_id: HolderId | None) -> dict[Path, Outcome]:
    """Take out of our jobs those that another process has finished before we had their leases."""
    done = [folder for folder in mine if Store(store).state_at(folder) == "done"]
    for folder in done:
        del mine[folder]
        release(folder, own_id)
    return dict.fromkeys(done, "done")


def _leave(folder: Path, outcome: Outcome, own_id: HolderId | None) -> None:
    """Record an attempt's end and give the lease back; a scheduler job that is requeued keeps it."""
    if not is_held(folder, own_id):
        return  # another holder's folder by now
    log_attempt(folder, ends=now(), outcome=outcome)
    try:
        if outcome == "stopped" and own_id is not None:
            wait_again(folder, own_id)
        else:
            release(folder, own_id)
    except OSError as error:  # the store can no longer be written; the lease is stale once this process has ended
        log.error("%s: the lease cannot be given back: %s", folder, error)


def _end_apart(
    jobs: Mapping[Path, Progress],
    error: Exception,
    own_job: SchedulerJob | None,
    stale_after: float,
    earlier: Mapping[Path, float | None],
) -> dict[Path, Outcome]:
    """Record the failed attempt of a process that found no group; `earlier`: when each job had failed before.

    Raises:
        LeaseTaken: another live process runs one of the jobs.
    """
    own_id, is_main = own_job.holder if own_job else None, os.environ.get("RANK", "0") == "0"
    mine = _acquire(jobs, own_job, stale_after, may_leave_out=False) if is_main else jobs
    for folder in mine:
        if is_main:
            log_attempt(folder, begins=now(), **HolderId.facts(own_id))
        elif not is_held(folder, own_id) and is_live(folder / LEASE):
            continue  # another holder's folder
        if earlier[folder] == _written(folder / FAILURE):
            (folder / FAILURE).unlink(missing_ok=True)
        record_error(folder, error)
        if is_main:
            _leave(folder, "failed", own_id)
    return dict.fromkeys(jobs, "failed")


def _written(path: Path) -> float | None:
    """When a file was written; None: there is none."""
    return path.stat().st_mtime if path.exists() else None


def _acquire(
    jobs: Mapping[Path, Progress], own_job: SchedulerJob | None, stale_after: float, may_leave_out: bool
) -> dict[Path, Progress]:
    """The jobs whose leases we took. With several processes all must be, since the others do not know which are not."""
    holder, snapshot = (own_job.holder, own_job.snapshot) if own_job else (None, None)
    mine: dict[Path, Progress] = {}
    refused: Exception | None = None
    for folder, progress in jobs.items():
        try:
            acquire(folder, holder, snapshot, stale_after=stale_after)
            mine[folder] = progress
        except LeaseTaken as error:
            refused = error
            log.warning("%s", error)
        except OSError as error:  # a full disk: then none is begun, and none stays ours
            refused, may_leave_out = error, False
            break
    if refused is not None and not (mine and may_leave_out):
        for folder in mine:
            release(folder, holder)
        raise refused
    return mine
