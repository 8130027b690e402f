"""The code of an installed wheel: the commit that it was built from, and whether its files were changed since."""

import base64
import hashlib
from collections.abc import Iterator
from importlib.metadata import PackagePath, files
from pathlib import Path
from typing import Any

from caebench.files.atomic import read_json
from caebench.files.forms import Form, misfit

FACTS = "build.json"  # in the package of a wheel; hatch_build.py writes it
RECORDED = (".py", ".toml", ".csv")  # as `provenance.HASHED`


class FactsForm(Form):
    """What a wheel says of its source."""

    commit: str | None
    dirty: bool


def built_from(package: Path) -> dict[str, Any] | None:
    """The commit of an installed package and whether there are changes; None: it is no wheel, or no commit is known.

    Raises:
        ValueError: the file that says so is damaged.
    """
    path = package / FACTS
    if not path.exists():
        return None
    facts = read_json(path)
    if wrong := misfit(FactsForm, facts):
        raise ValueError(f"{path}: {wrong}. Install caebench again.")
    if facts["commit"] is None:
        return None
    return {"commit": facts["commit"], "dirty": facts["dirty"] or any(True for _ in changed_files(package))}


def changed_files(package: Path) -> Iterator[Path]:
    """The files of the installed package that are not as they were installed."""
    for file in files(package.name) or ():
        path = package.parent / file
        if file.hash is not None and path.suffix in RECORDED and package in path.parents and not _is_intact(path, file):
            yield path


def _is_intact(path: Path, recorded: PackagePath) -> bool:
    if not path.is_file() or recorded.hash is None:
        return False
    digest = hashlib.new(recorded.hash.mode, path.read_bytes()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == recorded.hash.value
