"""The heartbeat of a running job: a file that a thread touches while the process lives (ADR 14)."""

import logging
import os
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from caebench.files.atomic import remove
from caebench.files.layout import HEARTBEAT

RESERVE = 2**16  # bytes of a heartbeat: room on a full disk for the record of the failure
BEATS = 15  # heartbeats before a lease would be stale
log = logging.getLogger("caebench")


@contextmanager
def beating(folders: Iterable[Path], is_held: Callable[[Path], bool], stale_after: float) -> Generator[None]:
    """Touch the heartbeats of jobs often enough for leases that are stale after so many seconds without one.

    It goes on whatever this process does, ends with it, and spares a job whose lease `is_held` no more.
    """
    ended = threading.Event()
    arguments = tuple(folders), is_held, stale_after / BEATS, ended
    thread = threading.Thread(target=_beat, args=arguments, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _beat(folders: tuple[Path, ...], is_held: Callable[[Path], bool], seconds: float, ended: threading.Event) -> None:
    while True:
        for folder in folders:
            try:
                if is_held(folder):
                    _touch(folder / HEARTBEAT)
            except OSError as error:  # a file server that does not answer may be back for the next one
                log.warning("%s: no heartbeat: %s", folder, error)
        if ended.wait(seconds):
            return


def _touch(path: Path) -> None:
    """Give a file the file server's time; one that another user has left is replaced."""
    if not path.is_file():
        remove(path)
        path.write_bytes(bytes(RESERVE))
    try:
        path.touch()
    except PermissionError:
        path.unlink()
        path.touch()


def free_reserve(folder: Path) -> None:
    """Free the room that a heartbeat keeps for the record of a failure, where the disk is full."""
    path = folder / HEARTBEAT
    if path.exists():
        os.truncate(path, 0)
