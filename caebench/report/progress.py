"""What a job's folder says of its progress, with what SLURM says of its place in the queue."""

import json
from pathlib import Path
from typing import Any

from caebench.config.stage import RESULT
from caebench.plan.files import read_json
from caebench.plan.lease import holder
from caebench.plan.standing import Queue, attempts, standing
from caebench.plan.store import FAILURE

METRICS = "metrics.jsonl"
TAIL = 4096  # bytes of metrics.jsonl that surely hold its last line


def folder_facts(folder: Path, queue: Queue | None = None) -> dict[str, Any]:
    """State, progress and result or reason of one job."""
    state, reason = standing(folder, queue)
    last = last_line(folder / METRICS)
    detail = reason
    if state == "done":
        metrics = read_json(folder / RESULT)["metrics"]
        detail = " ".join(f"{name} {value:.4g}" for name, value in list(metrics.items())[:3])
    elif state == "failed" and (folder / FAILURE).exists():
        detail = read_json(folder / FAILURE)["error"]
    elif last and "loss" in last and not reason:
        detail = f"loss {last['loss']:.4g}"
    name = f"{folder.parent.name}/{folder.name}"
    facts = {"job": name, "state": state, "progress": _place(last), "detail": detail, "folder": str(folder)}
    return facts | {"slices": len(attempts(folder)), "slurm": holder(folder).get("slurm")}


def log_files(folder: Path, store: Path) -> list[Path]:
    """What the SLURM jobs of a job's attempts have written, oldest first: standard output and error of each process."""
    ids = dict.fromkeys(str(attempt["slurm"]) for attempt in attempts(folder) if attempt.get("slurm"))
    found = [path for slurm_id in ids for path in sorted((store / "slurm").glob(f"{slurm_id}_[0-9]*_log.*"))]
    return sorted(found, key=lambda path: path.stat().st_mtime)


def _place(last: dict[str, Any] | None) -> str:
    """How far a job is: dense tasks count steps, the others epochs."""
    if last is None:
        return ""
    return f"epoch {last['epoch']:.1f}" if "epoch" in last else f"step {last['step']}"


def last_line(path: Path) -> dict[str, Any] | None:
    """The last whole line of a JSON-lines file, without reading all of it."""
    if not path.exists():
        return None
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL))
        lines = file.read().splitlines()
    for line in reversed(lines):
        try:
            return json.loads(line)
        except json.JSONDecodeError:
            continue  # cut by the seek, or being written
    return None
