"""The store: plain files, one folder per job, found by the job's id. `files.layout` names the files in it."""

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from caebench.files.atomic import has_name, listed, write_if_changed
from caebench.files.layout import CHECKPOINTS, FAILURE, JOB, LEASE, RESULT, SNAPSHOTS, id_in, is_id
from caebench.files.result import damage, intact, once, read_result, read_whole
from caebench.specs.cost import gpu_hours
from caebench.specs.identity import differing, full
from caebench.specs.job import Job, Spec
from caebench.specs.mistakes import words_of
from caebench.specs.registry import read_config
from caebench.specs.site import SCHEDULERS
from caebench.store.judging import is_live

ANOTHER = "Install the version of caebench, or the project with that kind, that wrote it; or delete the job's folder"
State = Literal["done", "running", "failed", "damaged", "unknown", "paused", "todo"]


class DriftError(ValueError):
    """A finished job with the same id as today's job, but a different config."""


@dataclass(frozen=True)
class Store:
    """Job folders below one root."""

    root: Path
    _found: dict[str, Path] = field(default_factory=dict[str, Path], compare=False, repr=False)  # by id
    _listed: dict[str, int] = field(default_factory=dict[str, int], compare=False, repr=False)  # folder -> its mtime

    def misplaced(self) -> str | None:
        """Why the root is no folder and can become none, and what to do; None: it is, or can."""
        there = next(path for path in (self.root, *self.root.absolute().parents) if os.path.lexists(path))
        if there.is_dir():
            return None
        what = "is no folder" if there == self.root else f"cannot be made: {there} is no folder"
        return f"store {self.root}: {what}. Name another with --store, CAEBENCH_STORE or `store` in the site file."

    def folder(self, job: Job) -> Path:
        """The job's folder: the existing one with its id, whatever its name, or else where it will be."""
        return self.locate(job.id) or self.root / job.name

    def locate(self, job_id: str) -> Path | None:
        """The folder of an id; None if there is none.

        Raises:
            ValueError: two folders have it.
        """
        known = self._found.get(job_id)
        if known is None or not known.is_dir():
            self._found.pop(job_id, None)
            self._list()
        return self._found.get(job_id)

    def at(self, name: str) -> Path:
        """The folder of a job that another folder names: by the id in the name, or else by the name."""
        return self.locate(id_in(name)) or self.root / name

    def _list(self) -> None:
        """List the job folders again, of those kinds whose folder has changed."""
        for kind in self._kinds():
            if (changed := kind.stat().st_mtime_ns) != self._listed.get(kind.name):
                self._listed[kind.name] = changed
                for name in os.listdir(kind):
                    if is_id(id_in(name)):
                        self._add(kind / name)

    def _kinds(self) -> list[Path]:
        """The folders of job folders."""
        return [kind for kind in listed(self.root) if kind.name not in (*SCHEDULERS, SNAPSHOTS) and kind.is_dir()]

    def _add(self, folder: Path) -> None:
        known = self._found.setdefault(id_in(folder.name), folder)
        if known == folder or not (folder / JOB).exists():
            return
        if (known / JOB).exists():
            raise ValueError(f"{known} and {folder} are the same job. Keep the one with {RESULT} and delete the other.")
        self._found[id_in(folder.name)] = folder

    def state(self, job: Job) -> State:
        """The state of a job.

        Raises:
            DriftError: it is done, and a default that it depends on has changed since.
        """
        folder = self.locate(job.id)
        if folder is None:
            return "todo"
        if (folder / RESULT).exists() and damage(folder) is None:
            if unreadable_config(folder):
                return "unknown"
            self._check_drift(job)
        return self.state_at(folder)

    def state_at(self, folder: Path) -> State:
        """A job's state from the files in its folder, and in those of its inputs: if one has changed, it is to do."""
        wrong = damage(folder)
        if wrong is None and (folder / RESULT).exists() and self.changed_input(folder) is None:
            return "unknown" if unreadable_config(folder) else "done"
        if is_live(folder / LEASE):
            return "running"
        if (folder / FAILURE).exists():
            return "failed"
        if wrong is not None:
            return "damaged"
        return "paused" if (folder / CHECKPOINTS).exists() else "todo"

    def changed_input(self, folder: Path) -> str | None:
        """Which input of a finished job has been recomputed since the job began, or is to be; None: none has.

        An input that was deleted to free its disk, or is damaged by now, does not invalidate the result.
        """
        seen = intact(folder, RESULT).get("inputs_finished", {})
        for role, name in intact(folder, JOB).get("inputs", {}).items() if seen else ():
            path = self.at(name)
            if not (result := intact(path, RESULT)):
                continue
            found = result.get("finished")
            if role in seen and found != seen[role]:
                return f"its {role} {name} has changed: finished {found}, and {seen[role]} when this job began"
            if deeper := self.changed_input(path):
                return f"its {role} {name} is to do again: {deeper}"
        return None

    def _check_drift(self, job: Job) -> None:
        path = self.folder(job) / JOB
        changed = differing(read_whole(path)["config"], full(job.config))
        if changed:
            raise DriftError(
                f"{path}: this finished job has the same id as today's, but other values: {'; '.join(changed)}. "
                "A default changed. Give the new behaviour a new value of a field, or raise VERSION of the kind's "
                "class in caebench/specs/."
            )

    def to_run(self, jobs: Sequence[Job]) -> list[Job]:
        """The jobs of a plan, inputs first, that a run on this machine runs: not done, or with an input that is not."""
        found: dict[str, Job] = {}
        for job in jobs:
            if self.state(job) != "done" or any(parent.id in found for parent in job.inputs.values()):
                found[job.id] = job
        return list(found.values())

    def runnable(self, jobs: Sequence[Job]) -> tuple[list[Job], list[str]]:
        """The jobs of a plan, inputs first, that can be run or are done; and why the others, of a state `unknown`, not.

        What depends on these and is not done cannot be run either.
        """
        out: dict[str, str] = {}
        for job in jobs:
            if (state := self.state(job)) == "unknown":
                out[job.id] = unreadable_config(self.folder(job)) or ""
            elif state != "done" and any(parent.id in out for parent in job.parents):
                out[job.id] = ""
        return [job for job in jobs if job.id not in out], [why for why in out.values() if why]

    def result(self, job: Job) -> dict[str, Any] | None:
        """A finished job's result.

        Raises:
            Damaged: it is not what was written.
        """
        folder = self.folder(job)
        return read_result(folder) if (folder / RESULT).exists() else None

    def mend(self, jobs: Sequence[Job]) -> None:
        """Write `job.json` again where it is damaged: all in it is known from the job."""
        for job in jobs:
            if (self.folder(job) / JOB).exists() and damage(self.folder(job)) is not None:
                self.prepare(job)

    def prepare(self, job: Job) -> Path:
        """Create the job's folder with its `job.json`."""
        folder = self.folder(job)
        folder.mkdir(parents=True, exist_ok=True)
        self._found[job.id] = folder
        self._listed[folder.parent.name] = folder.parent.stat().st_mtime_ns
        optional = {role: parent.name for role, parent in job.optional_inputs.items()}
        content = {
            "id": job.id,
            "kind": job.kind,
            "config": full(job.config),
            "inputs": {role: parent.name for role, parent in job.inputs.items()},
            **({"optional_inputs": optional} if optional else {}),
            **({"label": job.label} if job.label else {}),
            "gpu_hours": round(gpu_hours(job), 6),  # the plan's estimate, on an A100
        }
        write_if_changed(folder / JOB, content)
        return folder

    def find(self, job_id: str) -> Path:
        """The folder of a job by its id or a prefix of it.

        Raises:
            ValueError: no job matches, or more than one.
        """
        found = [folder for folder in self.folders() if id_in(folder.name).startswith(job_id)]
        if len(found) != 1 or not job_id:
            what = "no job has this id" if not found else f"{len(found)} jobs have this prefix"
            raise ValueError(f"job '{job_id}' in {self.root}: {what}. {self.list_hint}")
        return found[0]

    @property
    def list_hint(self) -> str:
        """The command that lists the jobs, for errors."""
        return f"List them with `caebench status --all --store {shlex.quote(str(self.root))}`."

    def read_job(self, folder: Path) -> Job:
        """The job of a folder, with all that it depends on, as `job.json` has them.

        Raises:
            Damaged: a `job.json` is.
            ValueError: the config of one is not of this caebench.
            DriftError: a default has changed since, so that today it would be a different job.
        """
        if wrong := unreadable_config(folder):
            raise ValueError(wrong)
        content = read_whole(folder / JOB)
        inputs = {role: self.read_job(self.at(name)) for role, name in content["inputs"].items()}
        optional = {role: self.at(name) for role, name in content.get("optional_inputs", {}).items()}
        there = {role: self.read_job(path) for role, path in optional.items() if (path / JOB).exists()}
        job = Job(read_config(content["config"]), inputs, there, content.get("label", ""))
        if job.id != content["id"]:
            raise DriftError(
                f"{folder / JOB}: today this is job {job.id}, since a default or a version has changed. Run its suite "
                "again."
            )
        return job

    def dependents(self, folder: Path) -> list[Path]:
        """The folders of all jobs that depend on one, directly or not."""
        inputs = {path: {id_in(name) for name in input_names(intact(path, JOB))} for path in self.folders()}
        found, new = {folder}, {folder}
        while new:
            ids = {id_in(path.name) for path in new}
            new = {path for path, on in inputs.items() if on & ids and path not in found}
            found |= new
        return sorted(found - {folder})

    def folders(self) -> Iterator[Path]:
        """Every job's folder.

        Raises:
            PermissionError: this user may not look into the store, or into a job's folder.
        """
        yield from (folder for kind in self._kinds() for folder in listed(kind) if has_name(folder / JOB))


def unreadable_config(folder: Path) -> str | None:
    """Why this caebench cannot read a job's config, and what to do; None: it can, or the job's file is damaged."""
    try:
        config_at(folder)
    except ValueError as error:
        return f"{folder / JOB}: {words_of(error).rstrip('.')}. {ANOTHER}."
    return None


def config_at(folder: Path) -> Spec | None:
    """A job's config; None: the job's file is damaged.

    Raises:
        ValueError: this caebench cannot read it.
    """
    return once(folder, _config_at)


def _config_at(folder: Path) -> Spec | None:
    job = intact(folder, JOB)
    return read_config(job["config"]) if job else None


def input_names(job: Mapping[str, Any]) -> list[str]:
    """The names of the jobs that a job depends on, from its `job.json`."""
    return [*job.get("inputs", {}).values(), *job.get("optional_inputs", {}).values()]
