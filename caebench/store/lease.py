"""Who runs a job: one lease per job, created exclusively; a stale one can be taken over (ADR 14).

The holder is a process, or a job of a scheduler, which keeps its id when it is requeued. Times are the file server's.
"""

import hashlib
import json
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from caebench.files.atomic import create_json, now, server_time, time_at, write_json
from caebench.files.layout import HEARTBEAT, LEASE
from caebench.files.permissions import user_of
from caebench.specs.base import is_table
from caebench.specs.site import SCHEDULERS
from caebench.store.queue import QueueSnapshot

UNREADABLE = 10.0  # seconds after which an unreadable lease is not being written any more
CLAIMING = 60.0  # seconds after which whoever replaces a stale lease from another machine is assumed to be gone
SUBMITTING = 600.0  # seconds after which a submitter on another machine is assumed to be gone
SKEW = 5.0  # seconds by which two times of the file server may differ
AGAIN = "Run the command again"
TAKE_OVER = "If it is gone, give --take-over"
Purpose = Literal["run", "submit", "pack", "claim"]  # pack: waits inside a scheduler job that runs other jobs first


class HolderId(NamedTuple):
    """The scheduler's job that holds a lease, or made an attempt."""

    scheduler: str
    id: str

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> "HolderId | None":
        """The one that a lease or an attempt names; None for a local process.

        Older code wrote the id under the scheduler's name.
        """
        named = facts.get("scheduler"), facts.get("scheduler_id")
        older = ((name, facts.get(name)) for name in SCHEDULERS)
        return next((cls(str(name), str(job_id)) for name, job_id in (named, *older) if job_id is not None), None)

    @staticmethod
    def facts(holder: "HolderId | None") -> dict[str, str | None]:
        """As a lease and an attempt name it."""
        name, job_id = holder or (None, None)
        return {"scheduler": name, "scheduler_id": job_id}


class Holding(NamedTuple):
    """Whether a lease is held, and by whom.

    `checked`: its holder lives. `assumed`: its holder cannot be checked from here. `unknown`: who holds it is not known
    yet. `stale`: nobody holds it.
    """

    state: Literal["checked", "assumed", "unknown", "stale"]
    words: str  # by whom, and since when

    @property
    def is_live(self) -> bool:
        """Whether the lease is held, as far as is known."""
        return self.state != "stale"


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
    found, lease = holder(folder), _lease_of(own_id, purpose, stale_after)
    if own_id is not None and (HolderId.of(found) == own_id or found.get("purpose") == "submit"):
        # its own after a requeue, or its submitter has not yet written the scheduler's id
        write_json(path, lease)
    elif not create_json(path, lease) and (held := _replace(path, lease, snapshot)) is not None:
        raise LeaseTaken(folder, held)


def hand_over(folder: Path, to: HolderId, purpose: Purpose = "run") -> None:
    """Give this process's lease to a scheduler job that it has submitted, unless that job has begun and taken it."""
    if holder_id(folder) != to:
        write_json(folder / LEASE, _lease_of(to, purpose))


def wait_again(folder: Path, own_id: HolderId) -> None:
    """Keep the lease of a scheduler job that goes back to the queue, where it sends no heartbeats."""
    if is_held(folder, own_id):
        write_json(folder / LEASE, {**holder(folder), "stale_after": None, "time": now()})
        (folder / HEARTBEAT).unlink(missing_ok=True)


def mark_cancelled(folder: Path, cancelled: HolderId) -> None:
    """Record that this scheduler job was cancelled, since there may be no accounting that says so."""
    content = holder(folder)
    if HolderId.of(content) == cancelled:
        write_json(folder / LEASE, {**content, "cancelled": now()})


def release(folder: Path, own_id: HolderId | None = None) -> None:
    """Give a lease back, if this process or scheduler job still has it."""
    if is_held(folder, own_id):
        (folder / HEARTBEAT).unlink(missing_ok=True)
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
        who = f"{_who(content)} has it" if content else "it is gone"
        raise LeaseLost(f"{folder}: this process has lost its lease ({who}), and leaves the folder as it is")


def process_number(lease: Mapping[str, Any] | None = None) -> int:
    """A number for this process, or for the one that has a lease; no two processes share it, on any machine."""
    named = _lease_of(None, "run") if lease is None else lease
    text = json.dumps([named.get(name) for name in ("host", "pid", "started")])
    return int(hashlib.sha256(text.encode()).hexdigest()[:12], 16)


def take_over(folder: Path, snapshot: QueueSnapshot | None = None) -> str | None:
    """End a lease whose holder cannot be checked from here; returns who had it, None if there was no such lease."""
    held = judge(folder / LEASE, snapshot)
    if held.state not in ("assumed", "unknown"):
        return None
    if _replace(folder / LEASE, _lease_of(None, "claim"), snapshot, force=True) is not None:
        return None
    release(folder)
    return held.words


def holder(folder: Path) -> dict[str, Any]:
    """The content of the lease; empty if there is none, or it cannot be read."""
    return _read(folder / LEASE) or {}


def holder_id(folder: Path) -> HolderId | None:
    """The scheduler job that has the lease; None if a process has it, or nobody."""
    return HolderId.of(holder(folder))


def is_foreign(lease: Mapping[str, Any]) -> bool:
    """Whether another user holds a lease."""
    return lease.get("user", user_name()) != user_name()


def user_name() -> str:
    """This process's user."""
    return user_of(os.getuid())


def is_live(path: Path, snapshot: QueueSnapshot | None = None) -> bool:
    """Whether the holder still runs or waits; see `judge`."""
    return judge(path, snapshot).is_live


def judge(path: Path, snapshot: QueueSnapshot | None = None, time_there: float | None = None) -> Holding:
    """Whether a lease is held, and by whom. A holder that cannot be checked from here counts as live.

    A scheduler job is looked up in its queue. Another user's job may be hidden there: while it waits its lease does not
    get stale, and while it runs it sends heartbeats, as does a process on another machine. `time_there` is the file
    server's time in seconds since the epoch; without it, it is what `time_at` knows.
    """
    time_there = time_at(path.parent) if time_there is None else time_there
    if (modified := _modified(path)) is None:
        return Holding("stale", "nobody has it")
    age, content = time_there - modified, _read(path)
    if content is None:
        state = "unknown" if abs(age) < UNREADABLE else "stale"
        return Holding(state, f"{path.name} cannot be read, and is {age:.0f} s old: it is being written. {AGAIN}")
    beat = min(age, time_there - (_modified(path.with_name(HEARTBEAT)) or modified))
    if (job := HolderId.of(content)) is not None:
        return _judge_job(content, job, snapshot, age, beat)
    return _judge_process(content, age, beat)


def _judge_job(
    content: Mapping[str, Any], job: HolderId, snapshot: QueueSnapshot | None, age: float, beat: float
) -> Holding:
    """A scheduler job's lease; `age` and `beat` are the seconds since it was written, and since a heartbeat."""
    if snapshot is None or snapshot.scheduler != job.scheduler:
        return _by_heartbeat(content, beat)
    since_asked = time.time() - snapshot.time
    if snapshot.can_run(job.id):
        return Holding("checked", f"already running or queued: {_who(content)}")
    if job.id in snapshot.jobs or "cancelled" in content:
        return Holding("stale", f"can never start: {_who(content)}")
    if age < -SKEW:
        words = f"{_who(content)}: its lease is {-age:.0f} s ahead of the file server's clock"
        return Holding("unknown", f"{words}. Set the clocks; {TAKE_OVER[0].lower()}{TAKE_OVER[1:]}")
    if beat < since_asked:
        return Holding("checked", f"already running: {_who(content)}, which sends heartbeats")
    if age < since_asked + SKEW:
        return Holding("assumed", f"{_who(content)}: submitted {age:.0f} s ago, when the queue was asked. {AGAIN}")
    return _by_heartbeat(content, beat) if is_foreign(content) else Holding("stale", f"gone: {_who(content)}")


def _judge_process(content: Mapping[str, Any], age: float, beat: float) -> Holding:
    """The lease of a process, here or on another machine."""
    if content["host"] == socket.gethostname():
        found = process_start(content["pid"])
        if found == content["started"]:
            return Holding("checked", f"already running: {_who(content)}")
        if not (found == "hidden" and is_foreign(content)):
            return Holding("stale", f"gone: {_who(content)}")
    limits = {"submit": SUBMITTING, "claim": CLAIMING}
    if (limit := limits.get(str(content.get("purpose")))) is None:
        return _by_heartbeat(content, beat)
    words = f"being submitted or taken over by {_who(content)}. Run the command again in {limit - max(age, 0):.0f} s"
    return Holding("assumed" if age < limit else "stale", words)


def _by_heartbeat(content: Mapping[str, Any], beat: float) -> Holding:
    """A holder that cannot be seen: it lives while its heartbeats go on, or for ever if it waits or sends none."""
    if (limit := content.get("stale_after")) is None:
        verb = "queued" if HolderId.of(content) else "running"
        return Holding("assumed", f"{verb} by {_who(content)}, which cannot be checked from here. {TAKE_OVER}")
    words = f"{_who(content)}, with its last heartbeat {max(beat, 0):.0f} s ago"
    return Holding("checked", f"already running: {words}") if beat < limit else Holding("stale", f"gone: {words}")


def _who(content: Mapping[str, Any]) -> str:
    """The holder in words: `ann since 2026-11-30T00:00:00+00:00 (pile job 7)`."""
    job = HolderId.of(content)
    place = f"{job.scheduler} job {job.id}" if job else f"process {content.get('pid')} on {content.get('host')}"
    return f"{content.get('user', 'an unknown user')} since {content.get('time', 'an unknown time')} ({place})"


def _lease_of(holder: HolderId | None, purpose: Purpose, stale_after: float | None = None) -> dict[str, Any]:
    return {
        "purpose": purpose,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started": process_start(os.getpid()),
        "user": user_name(),
        **HolderId.facts(holder),
        "stale_after": stale_after,  # seconds without a heartbeat; None: it sends none
        "time": now(),
    }


def _read(path: Path) -> dict[str, Any] | None:
    """A lease that names its holder; None if there is none, or it is empty, half-written or damaged."""
    try:
        content: Any = json.loads(path.read_bytes()) if path.is_file() else None  # a pipe would never end
    except (FileNotFoundError, ValueError):  # also of bytes that are no text
        return None
    if is_table(content) and (HolderId.of(content) or {"host", "pid", "started"} <= content.keys()):
        return content
    return None


def _modified(path: Path) -> float | None:
    try:
        return path.stat().st_mtime if path.exists() else None
    except FileNotFoundError:
        return None


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
    claiming = _lease_of(None, "claim")
    if not create_json(claim, claiming) and (other := _replace(claim, claiming, snapshot)) is not None:
        return other
    try:
        if _bytes(path) != stale:
            return Holding("assumed", f"another process has just taken it. {AGAIN}")
        write_json(path, lease)
        return None
    finally:
        if _read(claim) == claiming:
            claim.unlink(missing_ok=True)


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes() if path.is_file() else None
    except FileNotFoundError:
        return None


def process_start(pid: int) -> str | None:
    """When a process started, in the kernel's ticks, to distinguish it from a later process with the same pid.

    None for a process that is gone, or a zombie; `hidden` for another user's, if the system does not show it.
    """
    try:
        facts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if facts[0] in "ZX" else facts[19]
    except (FileNotFoundError, PermissionError, ProcessLookupError):
        has_proc = Path("/proc/self").exists()
    try:  # not shown, or no /proc on this system: only whether the pid exists is known
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return "hidden" if has_proc else "unknown"
    return None if has_proc else "unknown"
