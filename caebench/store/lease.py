"""Who may run a job: one lease per job, created exclusively; a stale one can be taken over (ADR 14)."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from caebench.files.atomic import create_json, now, remove, server_time, set_aside, write_json
from caebench.files.layout import HEARTBEAT, LEASE
from caebench.store.holders import (
    HolderId,
    Purpose,
    holder,
    holder_id,
    make_lease,
    process_number,
    read_lease,
    words_of,
)
from caebench.store.judging import AGAIN, Holding, judge
from caebench.store.queue import QueueSnapshot


class LeaseTaken(RuntimeError):
    """Another holder has the lease."""

    def __init__(self, folder: Path, holding: Holding) -> None:
        super().__init__(f"{folder / LEASE}: {holding.words}")
        self.holding = holding


class LeaseLost(Exception):
    """This process held the lease, and another holder has it now."""


def acquire(
    folder: Path,
    own_id: HolderId | None = None,
    snapshot: QueueSnapshot | None = None,
    purpose: Purpose = "run",
    stale_after: float | None = None,
) -> None:
    """Take a job's lease for this process, or for this scheduler job, which may already have it after a requeue.

    A holder that sends heartbeats says after how many seconds without one its lease is stale.

    Raises:
        LeaseTaken: another live holder has it.
    """
    path = folder / LEASE
    found, lease = holder(folder), make_lease(own_id, purpose, stale_after)
    if own_id is not None and (HolderId.of(found) == own_id or found.get("purpose") == "submit"):
        # its own after a requeue, or its submitter has not yet written the scheduler's id
        write_json(path, lease)
    elif not create_json(path, lease) and (held := _replace(path, lease, snapshot)) is not None:
        raise LeaseTaken(folder, held)


def hand_over(folder: Path, to: HolderId, purpose: Purpose = "run") -> None:
    """Give this process's lease to a scheduler job that it has submitted, unless that job has begun and taken it."""
    if holder_id(folder) != to:
        write_json(folder / LEASE, make_lease(to, purpose))


def wait_again(folder: Path, own_id: HolderId) -> None:
    """Keep the lease of a scheduler job that goes back to the queue, where it sends no heartbeats."""
    if is_held(folder, own_id):
        write_json(folder / LEASE, {**holder(folder), "stale_after": None, "time": now()})
        remove(folder / HEARTBEAT)


def mark_cancelled(folder: Path, cancelled: HolderId) -> None:
    """Record that this scheduler job was cancelled, since there may be no accounting that says so."""
    content = holder(folder)
    if HolderId.of(content) == cancelled:
        write_json(folder / LEASE, {**content, "cancelled": now()})


def release(folder: Path, own_id: HolderId | None = None) -> None:
    """Give a lease back, if this process or scheduler job still has it."""
    if is_held(folder, own_id):
        remove(folder / HEARTBEAT)
        (folder / LEASE).unlink(missing_ok=True)


def is_held(folder: Path, own_id: HolderId | None = None, process: int | None = None) -> bool:
    """Whether this process has the lease (or `process`, the main one), or its scheduler job, just handed over."""
    content = holder(folder)
    if process_number(content) == (process or process_number()):
        return True
    return own_id is not None and HolderId.of(content) == own_id and content.get("stale_after") is None


def require_held(folder: Path, own_id: HolderId | None = None, process: int | None = None) -> None:
    """Check that this process may still write to the job's folder; see `is_held`.

    Raises:
        LeaseLost: another holder has its lease, or nobody has.
    """
    if not is_held(folder, own_id, process):
        content = holder(folder)
        who = f"{words_of(content)} has it" if content else "it is gone"
        raise LeaseLost(f"{folder}: this process has lost its lease ({who}), and leaves the folder as it is")


def take_over(folder: Path, snapshot: QueueSnapshot | None = None) -> str | None:
    """End a lease whose holder cannot be checked from here; returns who had it, None if there was no such lease."""
    held = judge(folder / LEASE, snapshot)
    if held.state not in ("assumed", "unknown"):
        return None
    if _replace(folder / LEASE, make_lease(None, "claim"), snapshot, force=True) is not None:
        return None
    release(folder)
    return held.words


def _replace(
    path: Path, lease: Mapping[str, Any], snapshot: QueueSnapshot | None, force: bool = False
) -> Holding | None:
    """Replace a stale lease; returns who holds it, None if it was replaced.

    If several processes try, one succeeds, and a newer lease is never replaced. They compete for a claim file that is
    named by the stale lease's content. A claim that a killed process left can be stale as well, and is taken over in
    the same way. A lease or claim that is gone by now was given back: a new one is made. `force` also replaces a lease
    whose holder cannot be checked from here.
    """
    if (stale := _bytes(path)) is None:
        return None if create_json(path, lease) else Holding("assumed", f"another process has just taken it. {AGAIN}")
    held = judge(path, snapshot, server_time(path.parent))
    if held.state == "checked" or (held.is_live and not force):
        return held
    claim = path.with_name(f"{path.name}.{hashlib.sha256(stale).hexdigest()[:8]}")
    claiming = make_lease(None, "claim")
    if not create_json(claim, claiming) and (other := _replace(claim, claiming, snapshot)) is not None:
        return other
    try:
        if _bytes(path) != stale:
            return Holding("assumed", f"another process has just taken it. {AGAIN}")
        if path.is_dir() and not path.is_symlink():
            set_aside(path)
        write_json(path, lease)
        return None
    finally:
        if read_lease(claim) == claiming:
            claim.unlink(missing_ok=True)


def _bytes(path: Path) -> bytes | None:
    """A lease as it is; nothing where a folder, a pipe or a link to nowhere has its name; None: there is none."""
    try:
        return path.read_bytes() if path.is_file() else b"" if os.path.lexists(path) else None
    except FileNotFoundError:
        return None
