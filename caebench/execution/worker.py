"""Run a job from its folder, or several in one pass: the only place where the planning half calls the training half."""

import json
import logging
import os
import socket
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from caebench.execution import provenance
from caebench.execution.schedulers.base import SchedulerJob
from caebench.files.atomic import guarded, now, read_json, remove, write_json
from caebench.files.layout import ATTEMPTS, CHECKPOINTS, FAILURE, INPUTS, JOB, LEASE, PROVENANCE, RESULT, id_in, name_of
from caebench.files.permissions import denied
from caebench.specs.progress import Progress, no_progress
from caebench.specs.registry import read_config
from caebench.specs.site import Site
from caebench.store.heartbeat import beating
from caebench.store.lease import (
    HolderId,
    LeaseLost,
    LeaseTaken,
    acquire,
    is_held,
    is_live,
    process_number,
    release,
    require_held,
    wait_again,
)
from caebench.store.state import last_activity
from caebench.store.store import Store

Outcome = Literal["done", "failed", "stopped"]
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory")  # torch's words, and the kernel's
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
            return _attempt(jobs, store, site, group)
    mine = _acquire(jobs, own_job, stale_after, may_leave_out=group.size == 1)
    group.of_first(process_number())
    place = {**HolderId.facts(own_id), "restart": own_job.restart if own_job else None, "processes": group.size}
    outcomes: dict[Path, Outcome] = dict.fromkeys(mine, "failed")
    checks = {folder: partial(require_held, folder, own_id) for folder in mine}
    try:
        with beating(mine, partial(is_held, own_id=own_id), stale_after), guarded(checks):
            for folder in mine:
                shared_by = len(mine) * num_concurrent
                log_attempt(folder, begins=now(), seen=last_activity(folder), shared_by=shared_by, **place)
            outcomes |= _attempt(mine, store, site, group)
        return outcomes
    except SystemExit:  # a warning outside of a training loop: submitit's handler has requested a requeue
        outcomes = {folder: "done" if (folder / RESULT).exists() else "stopped" for folder in mine}
        raise
    finally:
        for folder, outcome in outcomes.items():
            _leave(folder, outcome, own_id)


def _leave(folder: Path, outcome: Outcome, own_id: HolderId | None) -> None:
    """Record an attempt's end and give the lease back; a scheduler job that is requeued keeps it."""
    if not is_held(folder, own_id):
        return  # another holder's folder by now
    log_attempt(folder, ends=now(), outcome=outcome)
    if outcome == "stopped" and own_id is not None:
        wait_again(folder, own_id)
    else:
        release(folder, own_id)


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
    refused: LeaseTaken | None = None
    for folder, progress in jobs.items():
        try:
            acquire(folder, holder, snapshot, stale_after=stale_after)
            mine[folder] = progress
        except LeaseTaken as error:
            refused = error
            log.warning("%s", error)
    if refused is not None and not (mine and may_leave_out):
        for folder in mine:
            release(folder, holder)
        raise refused
    return mine


def join(site: Site) -> Any:
    """This process's group."""
    from caebench.stages import join_group

    return join_group(site.device)


def log_attempt(folder: Path, **facts: Any) -> None:
    """Add a line to the job's attempts: one when an attempt begins, one when it ends."""
    line = {"host": socket.gethostname(), "pid": os.getpid(), **facts}
    with (folder / ATTEMPTS).open("a", encoding="utf8") as file:
        file.write(json.dumps(line) + "\n")


@dataclass
class Begun:
    """A job that has begun."""

    folder: Path
    job: Mapping[str, Any]  # of job.json
    config: Any
    run: Any
    started: float
    inputs_finished: Mapping[str, Any]  # when each input's result was finished; in the main process


def _attempt(jobs: Mapping[Path, Progress], store: Path, site: Site, group: Any) -> dict[Path, Outcome]:
    from caebench.stages import run_stages

    outcomes: dict[Path, Outcome] = {}
    begun: list[Begun] = []
    for folder, job in {folder: read_json(folder / JOB) for folder in jobs}.items():
        try:
            begun.append(_begin(folder, job, store, site, jobs[folder], group))
        except Exception as error:  # a job may fail in any way; the run continues with other jobs
            outcomes[folder] = _end_without(folder, error, group.is_main)
            if group.size > 1:  # the other processes would wait for it
                return {folder: _end_without(folder, error, group.is_main) for folder in jobs}

    def ended(number: int, found: dict[str, Any] | Exception) -> None:
        one = begun[number]
        if isinstance(found, Exception):
            outcomes[one.folder] = _end_without(one.folder, found, group.is_main)
        else:
            outcomes[one.folder] = _end(one, found, group.is_main)

    group.any([False])  # no process reads a checkpoint before the main one has looked at the inputs
    try:
        run_stages([(one.config, one.run) for one in begun], ended)
    except Exception as error:  # as above
        for one in begun:
            if one.folder not in outcomes:
                outcomes[one.folder] = _end_without(one.folder, error, group.is_main)
    return outcomes


def _begin(folder: Path, job: Mapping[str, Any], store: Path, site: Site, progress: Progress, group: Any) -> Begun:
    from caebench.stages import Run

    started = time.monotonic()
    known = Store(store)
    inputs = {role: known.at(name) for role, name in job["inputs"].items()}
    optional = {role: known.at(name) for role, name in job.get("optional_inputs", {}).items()}
    optional = {role: path for role, path in optional.items() if known.state_at(path) == "done"}
    if group.is_main:
        (folder / FAILURE).unlink(missing_ok=True)
    config = read_config(job["config"])
    require_inputs(inputs, known)
    seen: Mapping[str, Any] = {}
    if group.is_main:
        seen = _note_inputs(folder, inputs)
        made_with = {
            **provenance.collect(),
            "device": device_name(group.device),
            "processes": group.size,
            "started": now(),
            **({"optional_inputs": {role: path.name for role, path in optional.items()}} if optional else {}),
        }
        write_json(folder / PROVENANCE, made_with)
    run = Run(folder, inputs, site, group, progress, optional_inputs=optional)
    return Begun(folder, job, config, run, started, seen)


def _note_inputs(folder: Path, inputs: Mapping[str, Path]) -> dict[str, Any]:
    """Record which results of its inputs a job begins with; if one has changed since, its checkpoints are deleted."""
    path, found = folder / INPUTS, {role: read_json(one / RESULT).get("finished") for role, one in inputs.items()}
    before = read_json(path) if path.exists() else found
    changed = [name_of(one) for role, one in inputs.items() if before.get(role) != found[role]]
    if changed:
        said = f"{', '.join(changed)} changed since an earlier attempt: it starts again from nothing"
        log.warning("%s: %s", folder.name, said)
        log_attempt(folder, started_again=said)
        remove(folder / CHECKPOINTS)
    if changed or not path.exists():
        write_json(path, found)
    return found


def _end(one: Begun, metrics: dict[str, Any], is_main: bool) -> Outcome:
    if is_main:
        content = {
            "id": one.job["id"],
            "metrics": metrics,
            "intervals": one.run.intervals,
            "inputs_finished": one.inputs_finished,
            "fingerprints": one.run.fingerprints,
            "seconds": round(time.monotonic() - one.started, 2),
            "finished": now(),
        }
        write_json(one.folder / RESULT, content)
        _tidy(one.folder)
    return "done"


def _end_without(folder: Path, error: Exception, is_main: bool) -> Outcome:
    """End a job that was stopped or failed."""
    from caebench.stages import Interrupted

    if isinstance(error, LeaseLost):  # what is in the folder is another holder's
        log.error("%s", error)
        return "failed"
    if not isinstance(error, Interrupted):
        record_error(folder, error)
        return "failed"
    log.warning("%s: %s", folder.name, error)
    if is_main:
        log_attempt(folder, stopped_by=error.signal)
    return "stopped"


def require_inputs(inputs: Mapping[str, Path], store: Store) -> None:
    """Check that the inputs are done, with inputs of theirs that have not changed since.

    Raises:
        ValueError: an input job is not done.
    """
    for role, folder in inputs.items():
        if store.state_at(folder) != "done":
            why = store.changed_input(folder) or "it has no result"
            raise ValueError(
                f"input '{role}': {folder.name} is not done: {why}. Run it first: caebench run job {id_in(folder.name)}"
            )


def device_name(device: Any) -> str:
    """The device's name, for the record."""
    from caebench.stages import device_name as name_device

    return name_device(device)


def record_error(folder: Path, error: Exception) -> None:
    """Write why a job failed."""
    record_failure(folder, in_words(error), "".join(traceback.format_exception(error)))
    log.error("%s failed: %s", folder.name, error)


def record_failure(folder: Path, reason: str, trace: str = "") -> None:
    """Write why a job failed: the word of the process that failed first, since the others only lose a connection."""
    try:
        if not (folder / FAILURE).exists():
            write_json(folder / FAILURE, {"error": reason, "trace": trace, "time": now()})
    except (OSError, LeaseLost) as other:  # a full disk; another holder's folder
        log.error("%s: the failure cannot be written: %s", folder, other)


def in_words(error: Exception) -> str:
    """An error's type and message; for the many out-of-memory errors also what to do."""
    said = f"{type(error).__name__}: {denied(error) if isinstance(error, PermissionError) else error}"
    is_memory = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    if is_memory or any(words in str(error).lower() for words in OUT_OF_MEMORY):
        return f"out of memory: lower per_device_batch in the site file, or give the job more ({said})"
    return said


def _tidy(folder: Path) -> None:
    """Delete a finished job's checkpoints and what resuming needs; its outputs are in its folder."""
    (folder / INPUTS).unlink(missing_ok=True)
    for path in (folder / CHECKPOINTS).glob("*"):
        path.unlink()
    if (folder / CHECKPOINTS).exists():
        (folder / CHECKPOINTS).rmdir()
