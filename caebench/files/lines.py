"""Files of JSON lines, which grow by whole lines. A line that a kill has cut, or that is damaged, is passed over."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from caebench.files.atomic import naming, parse_object
from caebench.files.forms import fault


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
        lines = file.read().splitlines()
    whole = (found for line in lines if (found := _parse(line)) is not None)
    return [line for line in whole if fault(path, line) is None]


def _parse(line: bytes) -> dict[str, Any] | None:
    """A line's content; None: it is cut, or being written."""
    try:
        return parse_object(line)
    except ValueError:
        return None
