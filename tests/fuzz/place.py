"""A place: the folders that a command may know, filled alike for every input, and what has changed in them since.

home/   the user's, with .config/caebench/sites      work/  where the command runs
store/  job folders                                  out/   what --out and the like name
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.fuzz.case import Case, clear, put

FOLDERS = ("home/.config/caebench/sites", "work", "store", "out", "data")
OLD = 1_700_000_000  # seconds since the epoch: when all files of a place were written
Signature = tuple[int, int, int]  # mode, size, time


class Place:
    """A folder whose content can be put back as it was."""

    def __init__(self, root: Path, base: Mapping[str, bytes]) -> None:
        self.root, self.base = root, base
        self.marks: dict[str, Signature] = {}
        for name in FOLDERS:
            (root / name).mkdir(parents=True, exist_ok=True)
        for name, content in base.items():
            self._write(name, content)
        self.pristine = self.now()

    def _write(self, name: str, content: bytes) -> None:
        path = self.root / name
        put(path, content)
        os.utime(path, (OLD, OLD))

    def apply(self, case: Case) -> None:
        """Change the files that a case changes."""
        for name, content in case.files.items():
            put(self.root / name, content)
        self.marks = self.now()

    def changed(self) -> list[str]:
        """What has been written, made or deleted since the case was applied."""
        now = self.now()
        return sorted(name for name in now.keys() | self.marks.keys() if now.get(name) != self.marks.get(name))

    def restore(self) -> None:
        """Put everything back."""
        now = self.now()
        for name in sorted(now.keys() - self.pristine.keys()):
            clear(self.root / name)
        for name, mark in self.pristine.items():
            if now.get(name) != mark:
                self._mend(name)

    def _mend(self, name: str) -> None:
        if name in self.base:
            self._write(name, self.base[name])
        elif not (self.root / name).is_dir() or (self.root / name).is_symlink():
            put(self.root / name, b"")
            clear(self.root / name)
            (self.root / name).mkdir()

    def now(self) -> dict[str, Signature]:
        """Every path with its mode, size and time; of a folder the mode alone."""
        return dict(_walk(str(self.root), ""))


def _walk(folder: str, below: str) -> Iterator[tuple[str, Signature]]:
    for entry in os.scandir(folder):
        name = f"{below}{entry.name}"
        facts = entry.stat(follow_symlinks=False)
        if entry.is_dir(follow_symlinks=False):
            yield name, (facts.st_mode, 0, 0)
            yield from _walk(entry.path, f"{name}/")
        else:
            yield name, (facts.st_mode, facts.st_size, facts.st_mtime_ns)
