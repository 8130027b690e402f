"""What a job's folder says of its progress."""

import json
from pathlib import Path
from typing import Any

from caebench.config.stage import RESULT
from caebench.plan.files import read_json
from caebench.plan.store import FAILURE, folder_state

METRICS = "metrics.jsonl"
TAIL = 4096  # bytes of metrics.jsonl that surely hold its last line


def folder_facts(folder: Path) -> dict[str, Any]:
    """State, progress and result or reason of one job."""
    state = folder_state(folder)
    last = last_line(folder / METRICS)
    detail = ""
    if state == "done":
        metrics = read_json(folder / RESULT)["metrics"]
        detail = " ".join(f"{name} {value:.4g}" for name, value in list(metrics.items())[:3])
    elif state == "failed":
        detail = read_json(folder / FAILURE)["error"]
    elif last and "loss" in last:
        detail = f"loss {last['loss']:.4g}"
    name = f"{folder.parent.name}/{folder.name}"
    return {"job": name, "state": state, "progress": _place(last), "detail": detail, "folder": str(folder)}


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
