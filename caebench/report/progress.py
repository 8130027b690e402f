"""The facts of `status`: what a job's folder says, and what a scheduler says about its place in the queue."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from caebench.files.layout import FAILURE, JOB, METRICS, name_of
from caebench.files.result import intact, read_result
from caebench.report.forecast import Pace, hours_used, read_pace, slices
from caebench.specs.scheduler import SchedulerSection
from caebench.store.holders import HolderId, holder_id
from caebench.store.queue import QueuedJob
from caebench.store.state import Status, Statuses, attempts, last_activity
from caebench.store.store import config_at

MOST_METRICS = 3  # of a result, in one line
LAST_LINES = 3  # lines of a log shown with a failure
LATEST = 253_402_300_799.0  # the last second that a date with four digits has
LOG_TAIL = 4096  # bytes of a log, enough to contain them
LogFiles = Callable[[Path, Path], Sequence[Path]]  # the logs of a job in a store, oldest first


def folder_facts(
    folder: Path, statuses: Statuses, log_files: LogFiles, section: SchedulerSection | None = None
) -> dict[str, Any]:
    """State, progress, speed, hours and result or reason of one job; None for what is not known.

    Hours are device-hours: a GPU's, or a CPU process's. Hours left come from the job's own speed, or before it has one
    from the plan's estimate in A100-hours.
    """
    state, reason = _status(folder, statuses)
    facts: dict[str, Any] = {"job": name_of(folder), "state": state, "detail": reason, "folder": str(folder)}
    job = intact(folder, JOB) if state != "done" else {}
    pace = None if state == "done" else read_pace(folder / METRICS, job.get("config", {}))
    holder = holder_id(folder)
    snapshot = statuses.snapshot_of(holder)
    queued = snapshot.jobs.get(holder.id) if holder and snapshot else None
    if state == "done":
        facts["detail"] = shown_result(folder)
    elif pace and pace.loss is not None and not reason:
        facts["detail"] = f"loss {pace.loss:.4g}"
    facts |= _place(pace) | _time(folder, job, state, pace, queued, section)
    return facts | {
        **HolderId.facts(holder),
        "log": last_lines(folder, log_files(folder, statuses.store.root)) if state in ("failed", "lost") else [],
    }


def shown_result(folder: Path) -> str:
    """The first metrics as a table shows them: the choice that was fixed beforehand, then the best in brackets.

    Raises:
        Damaged: the result is not what was written.
        ValueError: this caebench cannot read the job's config.
    """
    config, metrics = config_at(folder), read_result(folder).get("metrics", {})
    own = [name for name in (config.METRICS if config else ()) if name in metrics]
    words: dict[str, str] = {}
    for name in own or list(metrics):
        choice = config.choice(name) if config else None
        if choice is not None and choice.fixed in metrics and choice.best in metrics:
            words[choice.fixed] = f"{name} {metrics[choice.fixed]:.4g} [{metrics[choice.best]:.4g}]"
        else:
            words.setdefault(name, f"{name} {metrics[name]:.4g}")
    return " ".join(list(words.values())[:MOST_METRICS])


def _status(folder: Path, statuses: Statuses) -> Status:
    """A job's state and its reason.

    The scheduler's word on a failure is first: if a process is killed, the job's own record is often only that another
    process has lost its connection.
    """
    state, reason = statuses.of(folder)
    if state == "failed" and (words := _why_stopped(folder, statuses)):
        return state, f"{words} ({reason})"
    return state, reason


def _why_stopped(folder: Path, statuses: Statuses) -> str:
    """Why the scheduler or a node stopped a job's last attempt; empty if neither did."""
    tries = attempts(folder)
    job = HolderId.of(tries[-1]) if tries else None
    snapshot = statuses.snapshot_of(job)
    end = snapshot.ends.get(job.id) if job and snapshot else None
    return end.words if end and end.how == "stopped" else ""


def _place(pace: Pace | None) -> dict[str, Any]:
    """A job's progress: dense tasks count steps, the others epochs."""
    if pace is None:
        return {"progress": "", "share": None, "loss": None}
    done = f"{pace.done:.1f}" if pace.unit == "epoch" else f"{pace.done}"
    share = round(pace.done / pace.total, 4)
    return {"progress": f"{pace.unit} {done} of {pace.total}", "share": share, "loss": pace.loss}


def _time(
    folder: Path,
    job: Mapping[str, Any],
    state: str,
    pace: Pace | None,
    queued: QueuedJob | None,
    section: SchedulerSection | None,
) -> dict[str, Any]:
    """Hours used and left, and the expected end at the current speed."""
    tries, now, runs = attempts(folder), time.time(), state == "running"
    settings = section.of(str(job.get("kind"))) if section else None
    devices = tries[-1].get("processes", 1) if tries else settings.num_processes if settings else 1
    left = 0.0 if state == "done" else _seconds_left(pace, job, devices)
    limit = (queued and queued.limit_seconds) or (60.0 * settings.minutes if settings else None)
    known = slices(len(tries), left, limit, queued.used_seconds if queued and queued.is_running else None)
    return {
        "images_per_second": round(pace.images_per_second, 1) if pace and pace.images_per_second and runs else None,
        "slices": known.number,
        "num_slices": known.total if state != "done" else known.number,
        "hours_used": round(hours_used(tries, last_activity(folder), now if runs else None), 4),
        "hours_left": None if left is None else round(left * devices / 3600, 4),
        "expected_end": _iso(now + left) if runs and left is not None and pace else None,
    }


def _seconds_left(pace: Pace | None, job: Mapping[str, Any], devices: int) -> float | None:
    if pace and pace.seconds_left is not None:
        return pace.seconds_left
    planned = job.get("gpu_hours")
    return None if planned is None else 3600.0 * planned / devices


def _iso(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(min(moment, LATEST)))


def last_lines(folder: Path, logs: Sequence[Path]) -> list[str]:
    """The last lines that a failed or lost job has written, or of its traceback if it left no log."""
    for path in reversed(logs):
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LOG_TAIL))
            if lines := _lines(file.read().decode("utf8", errors="replace")):
                return lines
    return _lines(str(intact(folder, FAILURE).get("trace", "")))


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines() if line.strip()][-LAST_LINES:]
