"""`caebench why`: what a job is, and how it differs from its nearest neighbour in the store."""

from pathlib import Path
from typing import Any

from caebench.config.stage import RESULT
from caebench.plan.identity import differing
from caebench.plan.store import FAILURE, JOB, PROVENANCE, Store, folder_state, read_json


def explain(store: Store, folder: Path) -> dict[str, Any]:
    """Everything known of a job."""
    job = read_json(folder / JOB)
    files = {"provenance": PROVENANCE, "result": RESULT, "failure": FAILURE}
    known = {name: read_json(folder / file) for name, file in files.items() if (folder / file).exists()}
    return {
        "folder": str(folder),
        "state": folder_state(folder),
        **job,
        **known,
        "nearest": nearest(store, folder, job),
    }


def nearest(store: Store, folder: Path, job: dict[str, Any]) -> dict[str, Any] | None:
    """The job of the same kind with the fewest other values."""
    others = ((other, read_json(other / JOB)) for other in store.folders() if other != folder)
    compared = [(other, _changes(job, content)) for other, content in others if content["kind"] == job["kind"]]
    if not compared:
        return None
    other, changes = min(compared, key=lambda pair: len(pair[1]))
    return {"job": f"{other.parent.name}/{other.name}", "differs in": changes}


def _changes(job: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return differing(job["config"], other["config"]) + differing(job["inputs"], other["inputs"], "inputs.")
