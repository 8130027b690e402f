"""What a job's folder says of it, with what SLURM says of its place in the queue: the facts that `status` shows."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from caebench.config.site import Slurm
from caebench.config.stage import METRICS_FILE, RESULT
from caebench.plan.files import read_json
from caebench.plan.lease import holder
from caebench.plan.standing import Queue, Queued, Standing, attempts, last_sign, standing
from caebench.plan.store import FAILURE, JOB
from caebench.report.forecast import Pace, hours_used, read_pace, slices

LAST_WORDS = 3  # lines of a log beside a failure
LOG_TAIL = 4096  # bytes of a log that surely hold them


def folder_facts(
    folder: Path,
    queue: Queue | None = None,
    slurm: Slurm | None = None,
    known: dict[Path, Standing] | None = None,
) -> dict[str, Any]:
    """State, progress, speed, hours and result or reason of one job; None for what is not known.

    Hours are a device's: a GPU's, or a CPU process's. What is left is by the job's own speed once it has one, else the
    plan's estimate in A100 hours. `known`: the standings found so far, where many jobs are asked after.
    """
    state, reason = standing(folder, queue, known)
    name = f"{folder.parent.name}/{folder.name}"
    facts: dict[str, Any] = {"job": name, "state": state, "detail": reason, "folder": str(folder)}
    job = read_json(folder / JOB) if state != "done" and (folder / JOB).exists() else {}
    pace = None if state == "done" else read_pace(folder / METRICS_FILE, job.get("config", {}))
    slurm_id = holder(folder).get("slurm")
    queued = queue.queued.get(str(slurm_id)) if queue else None
    if state == "done":
        metrics = read_json(folder / RESULT)["metrics"]
        facts["detail"] = " ".join(f"{name} {value:.4g}" for name, value in list(metrics.items())[:3])
    elif pace and pace.loss is not None and not reason:
        facts["detail"] = f"loss {pace.loss:.4g}"
    facts |= _place(pace) | _time(folder, job, state, pace, queued, slurm)
    return facts | {"slurm": slurm_id, "log": last_words(folder) if state in ("failed", "lost") else []}


def _place(pace: Pace | None) -> dict[str, Any]:
    """How far a job is: dense tasks count steps, the others epochs."""
    if pace is None:
        return {"progress": "", "share": None, "loss": None}
    done = f"{pace.done:.1f}" if pace.unit == "epoch" else f"{pace.done}"
    share = round(pace.done / pace.total, 4)
    return {"progress": f"{pace.unit} {done} of {pace.total}", "share": share, "loss": pace.loss}


def _time(
    folder: Path, job: Mapping[str, Any], state: str, pace: Pace | None, queued: Queued | None, slurm: Slurm | None
) -> dict[str, Any]:
    """What a job has used, what is left, and when it ends at this speed."""
    tries, now, runs = attempts(folder), time.time(), state == "running"
    settings = slurm.of(str(job.get("kind"))) if slurm else None
    devices = tries[-1].get("processes", 1) if tries else settings.num_processes if settings else 1
    left = 0.0 if state == "done" else _seconds_left(pace, job, devices)
    limit = (queued and queued.limit_seconds) or (60.0 * settings.minutes if settings else None)
    known = slices(len(tries), left, limit, queued.used_seconds if queued and queued.is_running else None)
    return {
        "images_per_second": round(pace.images_per_second, 1) if pace and pace.images_per_second and runs else None,
        "slices": known.number,
        "num_slices": known.total if state != "done" else known.number,
        "hours_used": round(hours_used(tries, last_sign(folder), now if runs else None), 4),
        "hours_left": None if left is None else round(left * devices / 3600, 4),
        "expected_end": _iso(now + left) if runs and left is not None and pace else None,
    }


def _seconds_left(pace: Pace | None, job: Mapping[str, Any], devices: int) -> float | None:
    if pace and pace.seconds_left is not None:
        return pace.seconds_left
    planned = job.get("gpu_hours")
    return None if planned is None else 3600.0 * planned / devices


def _iso(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def last_words(folder: Path) -> list[str]:
    """The last lines that a job which came to a bad end has written; of its trace, where it left no log."""
    for path in reversed(log_files(folder, folder.parents[1])):
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LOG_TAIL))
            if lines := _lines(file.read().decode("utf8", errors="replace")):
                return lines
    return _lines(read_json(folder / FAILURE).get("trace", "")) if (folder / FAILURE).exists() else []


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines() if line.strip()][-LAST_WORDS:]


def log_files(folder: Path, store: Path) -> list[Path]:
    """What the SLURM jobs of a job's attempts have written, oldest first: standard output and error of each process."""
    ids = dict.fromkeys(str(attempt["slurm"]) for attempt in attempts(folder) if attempt.get("slurm"))
    found = [path for slurm_id in ids for path in sorted((store / "slurm").glob(f"{slurm_id}_[0-9]*_log.*"))]
    return sorted(found, key=lambda path: path.stat().st_mtime)
