"""The one writer: a file appears under its name whole and on disk, or not at all. JSON, text, and the time."""

import errno
import json
import os
import shutil
import socket
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from caebench.files.layout import DAMAGED

NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS)  # what file systems without hard links answer
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)  # what a full disk answers, or a quota that is used up
PARTIAL = ".partial"  # the ending of what a killed writer leaves
DEEPEST = 50  # levels of a JSON file; caebench writes fewer than ten
DO = "Delete the job's folder and run the suite again"
_guards: dict[Path, Callable[[], None]] = {}  # by folder
_ahead: dict[int, float] = {}  # by device: seconds by which a file server's clock is ahead of this machine's


@contextmanager
def replacing(path: Path) -> Generator[Path]:
    """A path to write a file or a folder to; it takes the name `path` once the block has ended without an error.

    Its content is on disk before it has its name, and the name before this returns: a power cut leaves the old file or
    the new one. Permissions are by the user's umask, whoever writes.

    Raises:
        OSError: the disk does not take it; then `path` is as it was.
    """
    partial = _own_name(path)
    partial.touch()
    mode = partial.stat().st_mode
    partial.unlink()
    try:
        with naming(path):
            yield partial
        for file in (partial, *partial.rglob("*")):
            if file.is_file() and not file.is_symlink():
                file.chmod(mode | file.stat().st_mode)  # safetensors closes its files to all others
        _sync_all(partial)
        check_guard(path)
        partial.replace(path)
        sync(path.parent)
    finally:
        remove(partial)


@contextmanager
def naming(path: Path) -> Generator[None]:
    """Have an error of a file that is open, such as that of a full disk, name the file."""
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno is None:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error


@contextmanager
def guarded(checks: Mapping[Path, Callable[[], None]]) -> Generator[None]:
    """Call a folder's check before a file in it gets its name: it raises if this process may no longer write there."""
    _guards.update(checks)
    try:
        yield
    finally:
        for folder in checks:
            del _guards[folder]


def check_guard(path: Path) -> None:
    """Call the checks of the folders that a file is in."""
    for folder in path.parents:
        if folder in _guards:
            _guards[folder]()


def _own_name(path: Path) -> Path:
    """A name next to a file that no other process uses, on any machine."""
    return path.with_name(f".{path.name}.{socket.gethostname()}-{os.getpid()}{PARTIAL}")


def remove(path: Path) -> None:
    """Delete a file or a folder, there or not."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def set_aside(path: Path) -> None:
    """Keep what is damaged under another name, in place of what was kept there before."""
    other = path.with_name(path.name + DAMAGED)
    remove(other)
    path.replace(other)


def sync(path: Path) -> None:
    """Have a file's content, or a folder's names, on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_all(path: Path) -> None:
    for inner in sorted(path.rglob("*"), reverse=True) if path.is_dir() else ():
        sync(inner)
    sync(path)


def listed(folder: Path) -> list[Path]:
    """What is in a folder, in the order of names; nothing if there is no folder.

    Raises:
        PermissionError: this user may not list it. `Path.glob` would find nothing.
    """
    try:
        return [folder / name for name in sorted(os.listdir(folder))]
    except (FileNotFoundError, NotADirectoryError):
        return []


def has_name(path: Path) -> bool:
    """Whether something is there, even a link to nothing.

    Raises:
        PermissionError: this user may not look into its folder. `os.path.lexists` would say no.
    """
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def read_json(path: Path, do: str = DO) -> dict[str, Any]:
    """A JSON file with an object; `do` is what mends a damaged one.

    Raises:
        ValueError: it is damaged.
    """
    try:
        if not path.is_file() and os.path.lexists(path):  # reading a pipe would wait for ever
            raise ValueError("no regular file")
        return parse_object(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: damaged ({error}). {do}.") from error


def parse_object(text: bytes) -> dict[str, Any]:
    """A JSON object.

    Raises:
        ValueError: it is no JSON, no UTF-8, no object, or nested so deeply that nothing could go through it.
    """
    try:
        content: object = json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(content, dict):
        raise ValueError("no JSON object")
    if text.count(b"{") + text.count(b"[") < DEEPEST:
        return cast(dict[str, Any], content)
    level, depth = list[Any]([content]), 0
    while level := [inner for outer in level for inner in _inside(outer)]:
        if (depth := depth + 1) >= DEEPEST:
            raise ValueError("nested too deeply")
    return cast(dict[str, Any], content)


def _inside(value: Any) -> Iterable[Any]:
    """The tables and lists in another."""
    inner = cast(dict[str, Any], value).values() if isinstance(value, dict) else value
    return [one for one in cast(Iterable[Any], inner) if isinstance(one, (dict, list))]


def create_json(path: Path, content: Mapping[str, Any]) -> bool:
    """Write a JSON file atomically where there is none; whether there was none. Of several writers, one succeeds."""
    new = _own_name(path)
    write_json(new, content)
    try:
        os.link(new, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        return _create(path, new.read_bytes())
    finally:
        remove(new)
    sync(path.parent)
    return True


def _create(path: Path, content: bytes) -> bool:
    """The same on a file system without hard links: for a moment the file may be seen empty."""
    try:
        with path.open("xb") as file:
            file.write(content)
    except FileExistsError:
        return False
    except OSError:  # a full disk
        remove(path)
        raise
    sync(path)
    sync(path.parent)
    return True


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file atomically."""
    write_text(path, _as_text(content))


def write_if_changed(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file atomically, unless it has this content already."""
    text = _as_text(content)
    if not path.exists() or path.read_bytes() != text.encode():
        write_text(path, text)


def _as_text(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf8")


def now() -> str:
    """The time, in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def server_time(folder: Path) -> float:
    """The time of the file server that has a folder, in seconds since the epoch: of a file just written there.

    Raises:
        OSError: no file can be written there.
    """
    probe = _own_name(folder / "clock")
    probe.touch()
    try:
        found = probe.stat()
    finally:
        probe.unlink(missing_ok=True)
    _ahead[found.st_dev] = found.st_mtime - time.time()
    return found.st_mtime


def time_at(path: Path) -> float:
    """The time of a file's server, without writing there: by how far `server_time` has last found its clock ahead.

    In a process that has not asked, and so in every verb that only reads, it is this machine's time.
    """
    try:
        return time.time() + _ahead.get(path.stat().st_dev, 0.0)
    except OSError:
        return time.time()
