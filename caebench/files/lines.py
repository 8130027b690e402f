"""Files of JSON lines, which grow by whole lines. A line that a kill or a full disk has cut is passed over."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from caebench.files.atomic import naming


def append_line(path: Path, content: Mapping[str, Any]) -> None:
    """Add a line; where the last one was cut, this one still begins a line of its own.

    Raises:
        OSError: the disk does not take it.
    """
    line = json.dumps(content).encode() + b"\n"
    with naming(path), path.open("ab+") as file:
        if end := file.seek(0, os.SEEK_END):
            file.seek(end - 1)
            line = line if file.read(1) == b"\n" else b"\n" + line
        file.write(line)


def read_lines(path: Path, tail: int | None = None) -> list[dict[str, Any]]:
    """Its whole lines; with `tail`, those in so many bytes at its end; none if there is no file."""
    if not path.is_file():  # reading a pipe would wait for ever
        return []
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - tail) if tail is not None else 0)
        return _whole(file.read().splitlines())


def _whole(lines: Iterable[bytes]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for line in lines:
        try:
            content: object = json.loads(line)
        except (ValueError, RecursionError):
            continue  # cut, or being written
        if isinstance(content, dict):
            found.append(cast(dict[str, Any], content))
    return found
