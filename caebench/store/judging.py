"""Whether a lease is held, and by whom (ADR 14). Times are the file server's."""

import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from caebench.files.atomic import time_at
from caebench.files.layout import HEARTBEAT
from caebench.store.holders import HolderId, is_foreign, process_start, read_lease, words_of
from caebench.store.queue import QueueSnapshot

UNREADABLE = 10.0  # seconds after which an unreadable lease is not being written any more
CLAIMING = 60.0  # seconds after which whoever replaces a stale lease from another machine is assumed to be gone
SUBMITTING = 600.0  # seconds after which a submitter on another machine is assumed to be gone
SKEW = 5.0  # seconds by which two times of the file server may differ
AGAIN = "Run the command again"
TAKE_OVER = "If it is gone, give --take-over"


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
    age, content = time_there - modified, read_lease(path)
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
        return Holding("checked", f"already running or queued: {words_of(content)}")
    if job.id in snapshot.jobs or "cancelled" in content:
        return Holding("stale", f"can never start: {words_of(content)}")
    if age < -SKEW:
        words = f"{words_of(content)}: its lease is {-age:.0f} s ahead of the file server's clock"
        return Holding("unknown", f"{words}. Set the clocks; {TAKE_OVER[0].lower()}{TAKE_OVER[1:]}")
    if beat < since_asked:
        return Holding("checked", f"already running: {words_of(content)}, which sends heartbeats")
    if age < since_asked + SKEW:
        return Holding("assumed", f"{words_of(content)}: submitted {age:.0f} s ago, when the queue was asked. {AGAIN}")
    return _by_heartbeat(content, beat) if is_foreign(content) else Holding("stale", f"gone: {words_of(content)}")


def _judge_process(content: Mapping[str, Any], age: float, beat: float) -> Holding:
    """The lease of a process, here or on another machine."""
    if content["host"] == socket.gethostname():
        found = process_start(content["pid"])
        if found == content["started"]:
            return Holding("checked", f"already running: {words_of(content)}")
        if not (found == "hidden" and is_foreign(content)):
            return Holding("stale", f"gone: {words_of(content)}")
    limits = {"submit": SUBMITTING, "claim": CLAIMING}
    if (limit := limits.get(str(content.get("purpose")))) is None:
        return _by_heartbeat(content, beat)
    wait = f"Run the command again in {limit - max(age, 0):.0f} s"
    return Holding(
        "assumed" if age < limit else "stale", f"being submitted or taken over by {words_of(content)}. {wait}"
    )


def _by_heartbeat(content: Mapping[str, Any], beat: float) -> Holding:
    """A holder that cannot be seen: it lives while its heartbeats go on, or for ever if it waits or sends none."""
    if (limit := content.get("stale_after")) is None:
        verb = "queued" if HolderId.of(content) else "running"
        return Holding("assumed", f"{verb} by {words_of(content)}, which cannot be checked from here. {TAKE_OVER}")
    words = f"{words_of(content)}, with its last heartbeat {max(beat, 0):.0f} s ago"
    return Holding("checked", f"already running: {words}") if beat < limit else Holding("stale", f"gone: {words}")


def _modified(path: Path) -> float | None:
    """When a file was written, also what is no file in its place; None: there is nothing."""
    try:
        return path.stat().st_mtime if path.exists() else path.lstat().st_mtime
    except (FileNotFoundError, NotADirectoryError):
        return None
