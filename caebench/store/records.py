"""Finished jobs as records: read from the store, or from `results/<scale>/records/`, where they are kept in git.

A record has everything that a report needs about a number, in a few kilobytes. Weights stay in the store.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caebench.files.atomic import has_name, read_json, write_json
from caebench.files.forms import RecordForm, misfit
from caebench.files.layout import JOB, PROVENANCE, RESULT, name_of
from caebench.files.result import Damaged, damage, read_result, read_whole
from caebench.specs.identity import differing, full
from caebench.specs.job import Job
from caebench.store.store import DriftError, State, Store, unreadable_config

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
        try:
            return "done" if state == "todo" and self._kept(job) is not None else state
        except Damaged:
            return "damaged"

    def damage(self, job: Job) -> str | None:
        """What is wrong with a job's files, or with its record where it has no result in the store; None: nothing."""
        try:
            self._kept(job)
        except Damaged as error:
            return str(error)
        folder = self.store.folder(job)
        return damage(folder) or unreadable_config(folder)

    def find(self, job: Job) -> Record | None:
        """A finished job's record."""
        if self.store.state(job) == "done":
            return read_record(self.store.folder(job))
        return None if self.state(job) in ("damaged", "unknown") else self._kept(job)

    def _kept(self, job: Job) -> Record | None:
        path = self.folder / f"{job.id}.json" if self.folder is not None else None
        is_to_do_again = (self.store.folder(job) / RESULT).exists()  # since an input has changed
        if path is None or not has_name(path) or is_to_do_again:
            return None
        record = _read(path)
        if changed := differing(record["config"], full(job.config)):
            raise DriftError(
                f"{path}: this record has the same id as today's job, but other values: {'; '.join(changed)}. "
                "A default changed. Delete the record, or give the new behaviour a value of its own."
            )
        return record


def _read(path: Path) -> Record:
    """A record in git.

    Raises:
        Damaged: it is not what caebench writes.
    """
    do = "Restore the file from git, or delete it and export the record again"
    try:
        record = read_json(path, do)
    except ValueError as error:
        raise Damaged(str(error)) from error
    if wrong := misfit(RecordForm, record):
        raise Damaged(f"{path}: damaged ({wrong}). {do}.")
    return record


def read_record(folder: Path) -> Record:
    """The record of a finished job's folder."""
    job, result = read_whole(folder / JOB), read_result(folder)
    provenance = read_whole(folder / PROVENANCE) if (folder / PROVENANCE).exists() else {}
    return {"name": name_of(folder), "metrics": {}, "fingerprints": {}, **job, **result, "provenance": provenance}


def export(jobs: list[Job], store: Store, folder: Path) -> tuple[int, int]:
    """Write the record of every finished job; returns how many, and how many jobs are not finished."""
    done = [job for job in jobs if store.state(job) == "done"]
    folder.mkdir(parents=True, exist_ok=True)
    for job in done:
        write_json(folder / f"{job.id}.json", read_record(store.folder(job)))
    return len(done), len(jobs) - len(done)
