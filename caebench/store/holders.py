"""Who holds a lease: a process, or a job of a scheduler, which keeps its id when it is requeued (ADR 14)."""

import hashlib
import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from caebench.files.atomic import now, read_json
from caebench.files.forms import fault
from caebench.files.layout import LEASE
from caebench.files.permissions import user_of
from caebench.specs.site import SCHEDULERS

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


def holder(folder: Path) -> dict[str, Any]:
    """The content of the lease; empty if there is none, or it cannot be read."""
    return read_lease(folder / LEASE) or {}


def holder_id(folder: Path) -> HolderId | None:
    """The scheduler job that has the lease; None if a process has it, or nobody."""
    return HolderId.of(holder(folder))


def is_foreign(lease: Mapping[str, Any]) -> bool:
    """Whether another user holds a lease."""
    return lease.get("user", user_name()) != user_name()


def user_name() -> str:
    """This process's user."""
    return user_of(os.getuid())


def words_of(content: Mapping[str, Any]) -> str:
    """The holder in words: `ann since 2026-11-30T00:00:00+00:00 (pile job 7)`."""
    job = HolderId.of(content)
    place = f"{job.scheduler} job {job.id}" if job else f"process {content.get('pid')} on {content.get('host')}"
    return f"{content.get('user', 'an unknown user')} since {content.get('time', 'an unknown time')} ({place})"


def make_lease(holder: HolderId | None, purpose: Purpose, stale_after: float | None = None) -> dict[str, Any]:
    """The lease of this process, or of a scheduler job."""
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


def process_number(lease: Mapping[str, Any] | None = None) -> int:
    """A number for this process, or for the one that has a lease; no two processes share it, on any machine."""
    named = make_lease(None, "run") if lease is None else lease
    text = json.dumps([named.get(name) for name in ("host", "pid", "started")])
    return int(hashlib.sha256(text.encode()).hexdigest()[:12], 16)


def read_lease(path: Path) -> dict[str, Any] | None:
    """A lease, or a claim to one, that names its holder; None if there is none, or it is half-written or damaged."""
    try:
        content = read_json(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    if fault(path, content, LEASE) is None and (HolderId.of(content) or {"host", "pid", "started"} <= content.keys()):
        return content
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
