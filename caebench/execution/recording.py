"""What is recorded of an attempt at a job: when it ran, how it ended, and why it failed."""

import logging
import os
import socket
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from caebench.files.atomic import NO_ROOM, now, write_json
from caebench.files.layout import ATTEMPTS, FAILURE
from caebench.files.lines import append_line
from caebench.files.permissions import denied
from caebench.store.heartbeat import free_reserve
from caebench.store.lease import LeaseLost

OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory")  # torch's words, and the kernel's
log = logging.getLogger("caebench")


def log_attempt(folder: Path, **facts: Any) -> None:
    """Add a line to the job's attempts: one when an attempt begins, one when it ends."""
    line = {"host": socket.gethostname(), "pid": os.getpid(), **facts}
    try:
        append_line(folder / ATTEMPTS, line)
    except OSError as error:  # a full disk; what this attempt does counts all the same
        log.error("%s: cannot be recorded: %s", folder / ATTEMPTS, error)


def record_error(folder: Path, error: Exception) -> None:
    """Write why a job failed."""
    record_failure(folder, in_words(error), "".join(traceback.format_exception(error)))
    log.error("%s failed: %s", folder.name, error)


def record_failure(folder: Path, reason: str, trace: str = "") -> None:
    """Write why a job failed: the word of the process that failed first, since the others only lose a connection."""
    if (folder / FAILURE).exists():
        return
    facts = {"error": reason, "trace": trace, "time": now()}
    try:
        write_json(folder / FAILURE, facts)
    except LeaseLost as other:
        log.error("%s: the failure is not written: %s", folder, other)
    except OSError:
        _record_on_full_disk(folder, facts)


def _record_on_full_disk(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write why a job failed to the room that its heartbeat has kept for that."""
    try:
        free_reserve(folder)
        write_json(folder / FAILURE, facts)
    except OSError as other:
        log.error("%s: the failure cannot be written: %s", folder, other)


def in_words(error: Exception) -> str:
    """An error's type and message; for a full disk and the many out-of-memory errors also what to do."""
    said = f"{type(error).__name__}: {denied(error) if isinstance(error, PermissionError) else error}"
    is_memory = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    if is_memory or any(words in str(error).lower() for words in OUT_OF_MEMORY):
        return f"out of memory: lower per_device_batch in the site file, or give the job more ({said})"
    if (isinstance(error, OSError) and error.errno in NO_ROOM) or "no space left" in str(error).lower():
        return f"the disk is full, or a quota is used up: make room, and run again ({said})"
    return said
