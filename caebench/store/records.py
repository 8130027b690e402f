"""Finished jobs as records: read from the store, or from `results/<scale>/records/`, where they are kept in git.

A record has everything that a report needs about a number, in a few kilobytes. Weights stay in the store.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caebench.files.atomic import read_json, write_json
from caebench.files.layout import JOB, PROVENANCE, RESULT, name_of
from caebench.files.result import read_result
from caebench.specs.identity import differing, full
from caebench.specs.job import Job
from caebench.store.store import DriftError, State, Store

Record = dict[str, Any]
RESULTS = Path("results")


def records_folder(scale: str, results: Path = RESULTS) -> Path:
    """Where the records of a scale are."""
    return results / scale / "records"


@dataclass(frozen=True)
class Records:
    """Finished jobs: in the store first, then in the records in git."""

    store: Store
    folder: Path | None = None

    def state(self, job: Job) -> State:
        """A job's state; a job that has no result in the store may have a record."""
        state = self.store.state(job)
        return "done" if state == "todo" and self._kept(job) is not None else state

    def find(self, job: Job) -> Record | None:
        """A finished job's record."""
        folder = self.store.folder(job)
        return read_record(folder) if self.store.state(job) == "done" else self._kept(job)

    def _kept(self, job: Job) -> Record | None:
        path = self.folder / f"{job.id}.json" if self.folder is not None else None
        is_to_do_again = (self.store.folder(job) / RESULT).exists()  # since an input has changed
        if path is None or not path.exists() or is_to_do_again:
            return None
        record = read_json(path)
        if changed := differing(record["config"], full(job.config)):
            raise DriftError(
                f"{path}: this record has the same id as today's job, but other values: {'; '.join(changed)}. "
                "A default changed. Delete the record, or give the new behaviour a value of its own."
            )
        return record


def read_record(folder: Path) -> Record:
    """The record of a finished job's folder."""
    job, result = read_json(folder / JOB), read_result(folder)
    provenance = read_json(folder / PROVENANCE) if (folder / PROVENANCE).exists() else {}
    return {"name": name_of(folder), "metrics": {}, "fingerprints": {}, **job, **result, "provenance": provenance}


def export(jobs: list[Job], store: Store, folder: Path) -> tuple[int, int]:
    """Write the record of every finished job; returns how many, and how many jobs are not finished."""
    done = [job for job in jobs if store.state(job) == "done"]
    folder.mkdir(parents=True, exist_ok=True)
    for job in done:
        write_json(folder / f"{job.id}.json", read_record(store.folder(job)))
    return len(done), len(jobs) - len(done)
