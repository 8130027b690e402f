"""A job's result: its numbers with a checksum, and the checksums of the files that other jobs read."""

import hashlib
import json
import os
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TypeVar, cast

from caebench.files.atomic import DO, read_json, write_json
from caebench.files.forms import fault
from caebench.files.hashing import sha256_of
from caebench.files.layout import DVAE, ENCODER, JOB, PROVENANCE, RESULT, TOKENIZER

CHECKSUM = "checksum"
OUTPUTS = (ENCODER, DVAE, TOKENIZER)  # what other jobs read; code caches and archives of images have checksums inside


T = TypeVar("T")
_read: ContextVar[dict[Any, Any] | None] = ContextVar("_read", default=None)


class Damaged(ValueError):
    """A file is not what caebench wrote."""


@contextmanager
def reading_once() -> Generator[None]:
    """Read each file of a job at most once meanwhile: for who looks at many jobs, and writes nothing."""
    token = _read.set({})
    try:
        yield
    finally:
        _read.reset(token)


def write_result(folder: Path, content: Mapping[str, Any]) -> None:
    """Write a job's result, which makes it done."""
    files = {name: sha256_of(folder / name) for name in OUTPUTS if (folder / name).exists()}
    whole = {**content, **({"files": files} if files else {})}
    write_json(folder / RESULT, {**whole, CHECKSUM: _checksum(whole)})


def read_result(folder: Path) -> dict[str, Any]:
    """A finished job's result; one without a checksum is of an earlier version.

    Raises:
        Damaged: its content is not what was written.
    """
    return once(folder, _read_result)


def _read_result(folder: Path) -> dict[str, Any]:
    content = read_whole(folder / RESULT)
    stated = content.pop(CHECKSUM, None)
    if stated is not None and stated != _checksum(content):
        raise Damaged(f"{folder / RESULT}: its checksum does not fit: it has changed since it was written")
    return content


def intact(folder: Path, name: str) -> dict[str, Any]:
    """What a file of a job's folder says; nothing if it is not there, or is damaged."""
    try:
        return once(folder / name, _intact)
    except Damaged:
        return {}


def _intact(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    return read_result(path.parent) if path.name == RESULT else read_whole(path)


def read_whole(path: Path) -> dict[str, Any]:
    """What a file of a job says.

    Raises:
        Damaged: it is not what caebench writes.
    """
    return once(path, _read_whole)


def once(path: Path, read: Callable[[Path], T]) -> T:
    """What `read` makes of a path, or has made before in the same `reading_once`.

    Raises:
        ValueError: `read` did.
    """
    if (known := _read.get()) is None:
        return read(path)
    if (key := (path, read)) not in known:
        try:
            known[key] = read(path)
        except ValueError as error:
            known[key] = error
    if isinstance(found := known[key], ValueError):
        raise found
    return cast(T, cast(dict[str, Any], found).copy()) if isinstance(found, dict) else found


def _read_whole(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path)
    except ValueError as error:
        raise Damaged(str(error)) from error
    if wrong := fault(path, content):
        raise Damaged(f"{path}: damaged ({wrong}). {DO}.")
    return content


def damage(folder: Path) -> str | None:
    """What is wrong with the files that say what a job is, what it found and how; None: nothing."""
    try:
        for name in (JOB, PROVENANCE):
            if os.path.lexists(folder / name):  # also a link to nothing
                read_whole(folder / name)
        if os.path.lexists(folder / RESULT):
            read_result(folder)
    except Damaged as error:
        return str(error)
    return None


def require_outputs(folder: Path) -> None:
    """Check the files of a finished job that others read.

    Raises:
        Damaged: one is gone, or is not what the job wrote.
    """
    for name, digest in read_result(folder).get("files", {}).items():
        if not (folder / name).exists() or sha256_of(folder / name) != digest:
            raise Damaged(f"{folder / name}: gone, or changed since written. Delete its job's folder and run it again.")


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
