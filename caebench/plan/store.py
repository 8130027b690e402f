"""The store: plain files, one folder a job. `result.json` is written last and all or nothing; it means done.

pretrain/cae-pixels-nano_b-64e-s0-98cac62a22/
    job.json         kind, full config, inputs, cost provenance.json  commit, versions, machine
    submission.json  who runs it: the lease          metrics.jsonl, checkpoints/, outputs
    attempts.jsonl   when it ran, and how that ended result.json      its numbers
    failure.json     why it stopped
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter

from caebench.config.base import Config
from caebench.config.stage import RESULT, Stage
from caebench.plan.cost import gpu_hours
from caebench.plan.files import read_json, write_json
from caebench.plan.graph import Job
from caebench.plan.identity import differing, full
from caebench.plan.lease import LEASE, is_live

JOB, FAILURE, PROVENANCE, ATTEMPTS = "job.json", "failure.json", "provenance.json", "attempts.jsonl"
CHECKPOINTS = "checkpoints"
State = Literal["done", "running", "failed", "paused", "todo"]


class DriftError(ValueError):
    """A finished job whose config means something else today, under the same id."""


@dataclass(frozen=True)
class Store:
    """Job folders below one root."""

    root: Path

    def folder(self, job: Job) -> Path:
        """The job's folder, there or not."""
        return self.root / job.name

    def state(self, job: Job) -> State:
        """What has become of a job.

        Raises:
            DriftError: it is done, and a default that it rests on has changed since.
        """
        folder = self.folder(job)
        if (folder / RESULT).exists():
            self._refuse_drift(job)
            return "done" if self._rests_on_todays(job) else "todo"
        return folder_state(folder)

    def _rests_on_todays(self, job: Job) -> bool:
        """Whether the inputs are those that the job saw: one that was made anew leaves what rests on it to be done.

        An input that is gone, to free its disk, makes nothing untrue.
        """
        seen = read_json(self.folder(job) / RESULT).get("inputs_finished", {})
        for role, parent in job.inputs.items():
            path = self.folder(parent) / RESULT
            if role in seen and path.exists() and read_json(path).get("finished") != seen[role]:
                return False
        return True

    def _refuse_drift(self, job: Job) -> None:
        path = self.folder(job) / JOB
        changed = differing(read_json(path)["config"], full(job.config))
        if changed:
            raise DriftError(
                f"{path}: this finished job has the same id as today's, but other values: {'; '.join(changed)}. "
                "A default changed. Give the new behaviour a value of its own, or raise the kind's version in "
                "caebench/plan/identity.py."
            )

    def result(self, job: Job) -> dict[str, Any] | None:
        """A finished job's result."""
        path = self.folder(job) / RESULT
        return read_json(path) if path.exists() else None

    def prepare(self, job: Job) -> Path:
        """Make the job's folder with its `job.json`."""
        folder = self.folder(job)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(
            folder / JOB,
            {
                "id": job.id,
                "kind": job.kind,
                "config": full(job.config),
                "inputs": {role: parent.name for role, parent in job.inputs.items()},
                **({"aids": {role: parent.name for role, parent in job.aids.items()}} if job.aids else {}),
                "gpu_hours": round(gpu_hours(job), 6),  # the plan's estimate, on an A100
            },
        )
        return folder

    def find(self, job_id: str) -> Path:
        """The folder of a job by its id or the beginning of it.

        Raises:
            ValueError: no job, or more than one, has it.
        """
        found = [folder for folder in self.folders() if folder.name.rpartition("-")[2].startswith(job_id)]
        if len(found) != 1 or not job_id:
            what = "no job has this id" if not found else f"{len(found)} jobs begin so"
            raise ValueError(f"job '{job_id}' in {self.root}: {what}. List them with `caebench status`.")
        return found[0]

    def read_job(self, folder: Path) -> Job:
        """The job of a folder, with all that it rests on, as `job.json` has them.

        Raises:
            DriftError: a default has changed since, so that today it would be another job.
        """
        content = read_json(folder / JOB)
        inputs = {role: self.read_job(self.root / name) for role, name in content["inputs"].items()}
        aids = {role: self.root / name for role, name in content.get("aids", {}).items()}
        there = {role: self.read_job(path) for role, path in aids.items() if (path / JOB).exists()}
        job = Job(read_config(content["config"]), inputs, there)
        if job.id != content["id"]:
            raise DriftError(
                f"{folder / JOB}: today this is job {job.id}: a default or a version has changed. Run its suite again."
            )
        return job

    def resting_on(self, folder: Path) -> list[Path]:
        """The folders of all jobs that rest on one, directly or not."""
        inputs = {
            path: {self.root / name for name in (*job["inputs"].values(), *job.get("aids", {}).values())}
            for path in self.folders()
            if (job := read_json(path / JOB))
        }
        found, new = {folder}, {folder}
        while new:
            new = {path for path, on in inputs.items() if on & new and path not in found}
            found |= new
        return sorted(found - {folder})

    def folders(self) -> Iterator[Path]:
        """Every job's folder."""
        yield from (path.parent for path in sorted(self.root.glob(f"*/*/{JOB}")))


def folder_state(folder: Path) -> State:
    """What the files of a folder say."""
    if (folder / RESULT).exists():
        return "done"
    if is_live(folder / LEASE):
        return "running"
    if (folder / FAILURE).exists():
        return "failed"
    return "paused" if (folder / CHECKPOINTS).exists() else "todo"


def read_config(content: Mapping[str, Any]) -> Config:
    """The stage's config out of `job.json`."""
    return TypeAdapter[Any](Stage).validate_python(content)
