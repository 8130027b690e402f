"""Disk usage of the store: bytes by kind of job, jobs that no suite plans any more, left-over files; and deletion."""

import os
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caebench.files.atomic import NO_ROOM, PARTIAL, remove
from caebench.files.layout import JOB, LEASE, SNAPSHOTS, id_in, name_of
from caebench.files.result import intact
from caebench.specs.job import Job
from caebench.specs.registry import read_config
from caebench.specs.site import SCHEDULERS
from caebench.store.judging import is_live
from caebench.store.lease import LeaseTaken, acquire
from caebench.store.store import State, Store, input_names

BY_HAND = "imported"  # a kind that a user adds to the store, without a suite's plan


@dataclass(frozen=True)
class Stored:
    """A job's folder, and whether it can be deleted."""

    folder: Path
    kind: str
    num_bytes: int
    state: State
    newer: str | None = None  # the id that its config has today, if a default or a version has changed
    is_unplanned: bool = False  # no suite asks for it
    kept_for: str | None = None  # why it is kept although no suite asks for it

    @property
    def is_deletable(self) -> bool:
        """Whether `--delete` deletes it."""
        return self.is_unplanned and self.kept_for is None

    def facts(self) -> dict[str, Any]:
        """In plain values."""
        return {
            "job": name_of(self.folder),
            "bytes": self.num_bytes,
            "state": self.state,
            "newer": self.newer,
            "kept_for": self.kept_for,
        }


def look_through(store: Store, planned: Container[str]) -> list[Stored]:
    """Every job folder with its size; `planned` has the ids that suites ask for.

    Running jobs, imported encoders and jobs on subsets of data sets with all their dependents, and the dependencies of
    planned or running jobs are kept. While a `job.json` is damaged all are kept, because nobody knows what its job
    depends on.
    """
    jobs = {folder: intact(folder, JOB) for folder in store.folders()}
    own = _unplannable(store, jobs)
    unplanned = {folder for folder in jobs if id_in(folder.name) not in planned and folder not in own}
    needed = dict.fromkeys(unplanned, words) if (words := _unclear(jobs)) else {}
    needed |= _needed(store, [folder for folder in jobs if folder not in unplanned])
    running = {folder for folder in unplanned if is_live(folder / LEASE)}
    needed |= dict.fromkeys(_needed(store, list(running)), "a running job")
    return [
        Stored(
            folder,
            job.get("kind", folder.parent.name),
            size_of_folder(folder),
            store.state_at(folder),
            todays_id(store, folder) if folder in unplanned else None,
            folder in unplanned,
            "it runs" if folder in running else needed.get(folder),
        )
        for folder, job in jobs.items()
    ]


def _unplannable(store: Store, jobs: Mapping[Path, Mapping[str, Any]]) -> set[Path]:
    """What no suite file need plan, with all dependents: imported encoders (`eval`), and jobs on subsets of data sets.

    Which subsets there are only a site's folders tell.
    """
    found = {
        f
        for f, job in jobs.items()
        if job.get("kind") == BY_HAND or job.get("config", {}).get("subset") or job.get("kind") == "own"
    }
    new = found
    while new:
        new = {f for f, job in jobs.items() if f not in found and any(store.at(n) in found for n in input_names(job))}
        found = found | new
    return found


def _unclear(jobs: Mapping[Path, Mapping[str, Any]]) -> str | None:
    """The first job whose inputs are not known, in words."""
    return next((f"{name_of(folder)}, whose {JOB} is damaged" for folder, job in jobs.items() if not job), None)


def _needed(store: Store, kept: Sequence[Path]) -> dict[Path, str]:
    """All dependencies of some jobs, direct or not, each with the name of one dependent."""
    found: dict[Path, str] = {}
    new = list(kept)
    while new:
        folder = new.pop()
        for name in input_names(intact(folder, JOB)):
            if (parent := store.at(name)) not in found:
                found[parent] = name_of(folder)
                new.append(parent)
    return found


def todays_id(store: Store, folder: Path) -> str | None:
    """The id that a job's config and inputs have today; None if it is the same, or cannot be known."""
    job = _today(store, folder)
    return None if job is None or job.id == id_in(folder.name) else job.id


def _today(store: Store, folder: Path) -> Job | None:
    try:
        content = intact(folder, JOB)
        config = read_config(content["config"])
    except (KeyError, ValueError):
        return None  # an input is gone, or the config is of a kind or form that is no more
    inputs = {role: _today(store, store.at(name)) for role, name in content["inputs"].items()}
    known = {role: job for role, job in inputs.items() if job is not None}
    return Job(config, known) if len(known) == len(inputs) else None


def size_of_folder(folder: Path) -> int:
    """Bytes of the files in a folder.

    Raises:
        PermissionError: this user may not look into it.
    """
    try:
        with os.scandir(folder) as entries:
            return sum(map(_size_of, entries))
    except FileNotFoundError:
        return 0


def _size_of(entry: "os.DirEntry[str]") -> int:
    if entry.is_dir(follow_symlinks=False):
        return size_of_folder(Path(entry.path))
    try:
        return entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return 0


def others(store: Store) -> dict[str, int]:
    """Bytes of everything that is not a job: logs, snapshots of the source, and leftovers of killed writers."""
    left = list(store.root.rglob(f".*{PARTIAL}"))
    sizes = {name: size_of_folder(store.root / name) for name in (*SCHEDULERS, SNAPSHOTS)}
    sizes["left over"] = sum(size_of_folder(path) if path.is_dir() else path.lstat().st_size for path in left)
    return {name: size for name, size in sizes.items() if size}


def delete(found: Sequence[Stored]) -> int:
    """Delete the deletable folders; returns the bytes that this frees.

    Each is removed atomically, and only under its lease. A job that has started in the meantime is kept. On a full disk
    those without an old lease go first, which need no room.
    """
    freed = 0
    for one in sorted(found, key=lambda one: (one.folder / LEASE).exists()):
        if one.is_deletable and _delete(one.folder):
            freed += one.num_bytes
    return freed


def _delete(folder: Path) -> bool:
    try:
        _hold(folder)
    except LeaseTaken:
        return False
    gone = folder.with_name(f".{folder.name}{PARTIAL}")
    remove(gone)
    folder.rename(gone)
    remove(gone)
    return True


def _hold(folder: Path) -> None:
    """Take the lease; where there is no room for one, an empty one, which for some seconds nobody takes over."""
    try:
        acquire(folder)
    except OSError as error:
        if error.errno not in NO_ROOM or (folder / LEASE).exists():
            raise
        (folder / LEASE).touch(exist_ok=False)
