"""`caebench why`: what a job is and how it differs from its neighbour; from a cell to its jobs, commits and logs."""

from pathlib import Path
from typing import Any

from caebench.config.claim import CellName
from caebench.config.stage import METRICS_FILE, RESULT
from caebench.plan.files import read_json
from caebench.plan.graph import Job
from caebench.plan.identity import differing
from caebench.plan.store import FAILURE, JOB, PROVENANCE, Store, folder_state
from caebench.report.facts import cell_fact
from caebench.report.protocol import protocol
from caebench.report.records import Records
from caebench.report.reports import Reports
from caebench.suites import load


def explain_cell(reports: Reports, suite: str, row: str, column: str) -> dict[str, Any]:
    """From a cell to its jobs, what they rest on, their commits and their logs.

    Raises:
        ValueError: there is no such suite, row or column, or no job has the number of an extra column.
    """
    table = load(suite)
    entry = reports.entry(table, CellName(None, row, column))
    plan = reports.plan(table)
    cell = next((c for c in plan.cells if c.row.key == entry.row.key and c.column is entry.column), None)
    if cell is None:
        what = f"no job has this number: its site named nothing for it. See [extras] in the README, and run {suite}"
        raise ValueError(f"column '{column}' of {suite}: {what}.")
    return {
        "suite": suite,
        "scale": reports.scale.name,
        **cell_fact(entry),
        "numbers": [
            {**number._asdict(), **_made(job, reports.records), "rests_on": _chain(job, reports.records)}
            for number, job in zip(entry.numbers, cell.jobs, strict=True)
        ],
        "protocol": protocol(cell.jobs[0].config, reports.records.find(cell.jobs[0])) if cell.jobs else None,
    }


def _chain(job: Job, records: Records) -> list[dict[str, Any]]:
    return [{"job": parent.name, **_made(parent, records)} for parent in job.ancestors()]


def _made(job: Job, records: Records) -> dict[str, Any]:
    """State, commit and files of a job."""
    record, folder = records.find(job), records.store.folder(job)
    made_with: dict[str, Any] = record["provenance"] if record else {}
    return {
        "state": records.state(job),
        "commit": made_with.get("commit"),
        "dirty": made_with.get("dirty"),
        "finished": record["finished"] if record else None,
        "folder": str(folder) if folder.exists() else None,
        "log": str(folder / METRICS_FILE) if (folder / METRICS_FILE).exists() else None,
    }


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
