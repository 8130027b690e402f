"""What a kind of input is: the files that every place of it begins with, and the input of a number."""

from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Protocol

from tests.fuzz.case import Case

Files = Mapping[str, bytes]  # by the path below the place


class Kind(Protocol):
    """A kind of input."""

    name: str
    needs_torch: bool  # a process of it starts in seconds

    def base(self, scratch: Path) -> Files:
        """The files of its places, the same every time; the folder is for making them."""
        ...

    def case(self, rng: Random, base: Files) -> Case:
        """An input."""
        ...


def files_below(folder: Path, name: str) -> Files:
    """The files in a folder, under another name."""
    return {
        f"{name}/{path.relative_to(folder).as_posix()}": path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
