"""A job's result: its numbers with a checksum, and the checksums of the files that other jobs read."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from caebench.files.atomic import DO, read_json, write_json
from caebench.files.forms import fault
from caebench.files.hashing import sha256_of
from caebench.files.layout import DVAE, ENCODER, JOB, PROVENANCE, RESULT, TOKENIZER

CHECKSUM = "checksum"
OUTPUTS = (ENCODER, DVAE, TOKENIZER)  # what other jobs read; code caches and archives of images have checksums inside


class Damaged(ValueError):
    """A file is not what caebench wrote."""


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
    content = read_whole(folder / RESULT)
    stated = content.pop(CHECKSUM, None)
    if stated is not None and stated != _checksum(content):
        raise Damaged(f"{folder / RESULT}: its checksum does not fit: it has changed since it was written")
    return content


def intact(folder: Path, name: str) -> dict[str, Any]:
    """What a file of a job's folder says; nothing if it is not there, or is damaged."""
    if not (folder / name).exists():
        return {}
    try:
        return read_result(folder) if name == RESULT else read_whole(folder / name)
    except Damaged:
        return {}


def read_whole(path: Path) -> dict[str, Any]:
    """What a file of a job says.

    Raises:
        Damaged: it is not what caebench writes.
    """
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
