"""The store: plain files, one folder a job. `result.json` is written last and all or nothing; it means done.

pretrain/cae-pixels-nano_b-64e-s0-98cac62a22/
    job.json         kind, full config, inputs       provenance.json  commit, versions, machine
    submission.json  who runs it: the claim          metrics.jsonl, checkpoints/, outputs
    failure.json     why it stopped                  result.json      its numbers
"""

import json
import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter

from caebench.config.base import Config
from caebench.config.stage import RESULT, Stage
from caebench.plan.graph import Job
from caebench.plan.identity import differing, full

JOB, CLAIM, FAILURE, PROVENANCE = "job.json", "submission.json", "failure.json", "provenance.json"
CHECKPOINTS = "checkpoints"
State = Literal["done", "running", "failed", "paused", "todo"]


class DriftError(ValueError):
    """A finished job whose config means something else today, under the same id."""


class Claimed(RuntimeError):
    """Another live process runs the job."""


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

    def folders(self) -> Iterator[Path]:
        """Every job's folder."""
        yield from (path.parent for path in sorted(self.root.glob(f"*/*/{JOB}")))


def folder_state(folder: Path) -> State:
    """What the files of a folder say."""
    if (folder / RESULT).exists():
        return "done"
    if claim_is_live(folder / CLAIM):
        return "running"
    if (folder / FAILURE).exists():
        return "failed"
    return "paused" if (folder / CHECKPOINTS).exists() else "todo"


def claim(folder: Path) -> None:
    """Take a job for this process, exclusively; a dead process's claim on this machine is taken over.

    Raises:
        Claimed: a live process holds it.
    """
    path = folder / CLAIM
    content = {"host": socket.gethostname(), "pid": os.getpid(), "started": process_start(os.getpid()), "time": now()}
    if path.exists() and not claim_is_live(path):
        _bury(path)
    try:
        with path.open("x", encoding="utf8") as file:
            json.dump(content, file)
    except FileExistsError:
        raise Claimed(f"{folder}: already running; see {CLAIM} there for the process") from None


def _bury(path: Path) -> None:
    """Move a dead claim away; of several processes that try, one moves it, and a new claim is never the one moved."""
    grave = path.with_suffix(f".{os.getpid()}.dead")
    try:
        path.rename(grave)
    except FileNotFoundError:
        return
    if claim_is_live(grave):  # it was renewed between the look and the move: put it back
        grave.rename(path)
    grave.unlink(missing_ok=True)


def release(folder: Path) -> None:
    """Give a job's claim back."""
    (folder / CLAIM).unlink(missing_ok=True)


def claim_is_live(path: Path) -> bool:
    """Whether the claim's process still runs; on another machine that cannot be seen, and counts as live."""
    try:
        content = json.loads(path.read_text(encoding="utf8"))
    except FileNotFoundError:
        return False
    except json.JSONDecodeError:
        return True  # being written this moment
    if content["host"] != socket.gethostname():
        return True
    return process_start(content["pid"]) == content["started"]


def process_start(pid: int) -> str | None:
    """When a process started, in the kernel's ticks, so that a pid used again is not taken for the old process.

    None for a process that is gone, or dead and only not yet collected by its parent.
    """
    try:
        facts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if facts[0] in "ZX" else facts[19]
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return None
    try:  # no /proc on this system: whether the pid lives is all there is
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    return "unknown"


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file.

    Raises:
        ValueError: it is damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: damaged ({error}). Delete the job's folder and run the suite again.") from error


def read_config(content: Mapping[str, Any]) -> Config:
    """The stage's config out of `job.json`."""
    return TypeAdapter[Any](Stage).validate_python(content)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file all or nothing."""
    partial = path.with_suffix(f".{os.getpid()}.partial")
    try:
        with partial.open("w", encoding="utf8") as file:
            json.dump(content, file, indent=2, allow_nan=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def now() -> str:
    """The time, in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
