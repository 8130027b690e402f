"""Who runs a job: one lease a job, made exclusively, which survives its holder and can be taken over (ADR 14).

A process holds it, or a SLURM job, whose processes come and go under one id.
"""

import getpass
import json
import os
import socket
import time
from collections.abc import Container
from pathlib import Path
from typing import Any, Literal, NamedTuple

from caebench.plan.files import now, read_json, write_json

LEASE = "submission.json"
SUBMITTING = 600.0  # seconds after which a submitter that nobody can see is taken for dead
SKEW = 5.0  # seconds by which a file server's clock may be behind
Purpose = Literal["run", "submit", "pack"]  # pack: waits for its turn among others of a SLURM job


class Look(NamedTuple):
    """What was in SLURM's queue at one moment."""

    ids: Container[str]  # pending or running
    time: float  # of the epoch, before it was asked


class Held(RuntimeError):
    """Another live process, or a job in the queue, has the lease."""


def acquire(folder: Path, slurm_id: str | None = None, look: Look | None = None, purpose: Purpose = "run") -> None:
    """Take a job's lease for this process, or as this SLURM job, which finds its own again after a requeue.

    Raises:
        Held: somebody else has it, and lives.
    """
    path = folder / LEASE
    found = _content(path)
    if slurm_id is not None and (found.get("slurm") == slurm_id or found.get("purpose") == "submit"):
        # its own after a requeue; or its submitter has not yet written the id that SLURM gave
        write_json(path, _mine(slurm_id, purpose))
        return
    if path.exists() and not is_live(path, look):
        _bury(path, look)
    try:
        with path.open("x", encoding="utf8") as file:
            json.dump(_mine(slurm_id, purpose), file)
    except FileExistsError:
        raise Held(f"{folder}: already running or queued; see {LEASE} there for by whom") from None


def hand_over(folder: Path, slurm_id: str, purpose: Purpose = "run") -> None:
    """Give this process's lease to a SLURM job that it has submitted."""
    write_json(folder / LEASE, _mine(slurm_id, purpose))


def mark_cancelled(folder: Path, slurm_id: str) -> None:
    """Note that this SLURM job was taken out of the queue on purpose; accounting may not be there to say so."""
    content = _content(folder / LEASE)
    if content.get("slurm") == slurm_id:
        write_json(folder / LEASE, {**content, "cancelled": now()})


def release(folder: Path) -> None:
    """Give a lease back."""
    (folder / LEASE).unlink(missing_ok=True)


def holder(folder: Path) -> dict[str, Any]:
    """What the lease says of its holder; empty where there is none."""
    return _content(folder / LEASE)


def is_live(path: Path, look: Look | None = None) -> bool:
    """Whether the holder still runs or waits. What cannot be seen from here counts as live.

    A SLURM job is looked for in the queue, if its lease is older than the look; a submitter on another machine has ten
    minutes.
    """
    try:
        content = json.loads(path.read_text(encoding="utf8"))
    except FileNotFoundError:
        return False
    except json.JSONDecodeError:
        return True  # being written this moment
    if (slurm_id := content.get("slurm")) is not None:
        is_new = "cancelled" not in content and look is not None and time.time() - _age(path) > look.time - SKEW
        return look is None or slurm_id in look.ids or is_new
    if content["host"] != socket.gethostname():
        return content.get("purpose") != "submit" or _age(path) < SUBMITTING
    return process_start(content["pid"]) == content["started"]


def _mine(slurm_id: str | None, purpose: Purpose) -> dict[str, Any]:
    return {
        "purpose": purpose,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started": process_start(os.getpid()),
        "user": getpass.getuser(),
        "slurm": slurm_id,
        "time": now(),
    }


def _content(path: Path) -> dict[str, Any]:
    try:
        return read_json(path)
    except (FileNotFoundError, ValueError):
        return {}  # none, or being written this moment


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _bury(path: Path, look: Look | None) -> None:
    """Move a dead lease away; of several processes that try, one moves it, and a new lease is never the one moved."""
    grave = path.with_suffix(f".{os.getpid()}.dead")
    try:
        path.rename(grave)
    except FileNotFoundError:
        return
    if is_live(grave, look):  # it was renewed between the look and the move: put it back
        grave.rename(path)
    grave.unlink(missing_ok=True)


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
