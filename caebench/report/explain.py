"""`caebench why`: what a job is and how it differs from the most similar job; a cell's jobs, commits and logs."""

from pathlib import Path
from typing import Any

from caebench.files.layout import FAILURE, JOB, METRICS, PROVENANCE, RESULT, name_of
from caebench.files.result import intact
from caebench.report.facts import cell_fact
from caebench.report.protocol import protocol
from caebench.report.reports import Reports
from caebench.specs.identity import differing
from caebench.specs.job import Job
from caebench.store.records import Records
from caebench.store.store import Store
from caebench.suites.claims import CellName
from caebench.suites.loading import load


def explain_cell(reports: Reports, suite: str, row: str, column: str) -> dict[str, Any]:
    """A cell's jobs, their dependencies, commits and logs.

    Raises:
        ValueError: there is no such suite, row or column.
    """
    table = load(suite)
    entry = reports.entry(table, CellName(None, row, column))
    plan = reports.plan(table)
    cell = next(c for c in plan.cells if c.row.key == entry.row.key and c.column is entry.column)
    return {
        "suite": suite,
        "scale": reports.scale.name,
        **cell_fact(entry),
        "numbers": [
            {**number._asdict(), **_made(job, reports.records), "depends_on": _chain(job, reports.records)}
            for number, job in zip(entry.numbers, cell.jobs, strict=True)
        ],
        "protocol": protocol(cell.jobs[0].config, reports.records.find(cell.jobs[0])) if cell.jobs else None,
    }


def _chain(job: Job, records: Records) -> list[dict[str, Any]]:
    return [{"job": parent.name, **_made(parent, records)} for parent in job.ancestors()]


def _made(job: Job, records: Records) -> dict[str, Any]:
    """State, what is wrong, commit and files of a job."""
    record, folder = records.find(job), records.store.folder(job)
    made_with: dict[str, Any] = record["provenance"] if record else {}
    return {
        "state": records.state(job),
        "detail": records.damage(job),
        "commit": made_with.get("commit"),
        "dirty": made_with.get("dirty"),
        "finished": record.get("finished") if record else None,
        "folder": str(folder) if folder.exists() else None,
        "log": str(folder / METRICS) if (folder / METRICS).exists() else None,
    }


def explain(store: Store, folder: Path) -> dict[str, Any]:
    """Everything known about a job."""
    job = intact(folder, JOB)
    files = {"provenance": PROVENANCE, "result": RESULT, "failure": FAILURE}
    known = {name: intact(folder, file) for name, file in files.items() if (folder / file).exists()}
    return {
        "folder": str(folder),
        "state": store.state_at(folder),
        "changed_input": store.changed_input(folder),
        **job,
        **known,
        "nearest": nearest(store, folder, job) if job else None,
    }


def nearest(store: Store, folder: Path, job: dict[str, Any]) -> dict[str, Any] | None:
    """The job of the same kind with the fewest differing values."""
    others = ((other, intact(other, JOB)) for other in store.folders() if other != folder)
    compared = [(other, _changes(job, content)) for other, content in others if content.get("kind") == job["kind"]]
    if not compared:
        return None
    other, changes = min(compared, key=lambda pair: len(pair[1]))
    return {"job": name_of(other), "differs in": changes}


def _changes(job: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return differing(job["config"], other["config"]) + differing(job["inputs"], other["inputs"], "inputs.")
