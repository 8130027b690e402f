"""A suite file read as far as it goes: every mistake in it is found, not only the first.

What cannot be read is replaced by a stand-in, so that rows and claims keep their numbers and the rest can be checked.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

from pydantic import ValidationError

from caebench.files.toml import read_toml
from caebench.specs.base import is_table
from caebench.suites.checking import mistakes
from caebench.suites.claims import Claim
from caebench.suites.mistakes import explain
from caebench.suites.suite import Suite

Place = tuple[int | str, ...]


class Draft(NamedTuple):
    """What could be read of a suite file, and what is wrong with it."""

    suite: Suite | None  # None: nothing of it can be checked further
    mistakes: tuple[str, ...]  # each with the file's name
    unsound: frozenset[str]  # keys of rows and names of columns that could not be read


def read_draft(path: Path) -> Draft:
    """Read a suite file as far as it goes."""
    try:
        content = read_toml(path)
    except (ValueError, OSError) as error:
        return Draft(None, (str(error),), frozenset())
    found: list[str] = []
    try:
        suite, unsound = Suite.model_validate({**content, "path": path}), frozenset[str]()
    except ValidationError as error:
        found += [f"{path}: {words}" for words in explain(error, content)]
        suite, unsound = _repaired(content, path, {item["loc"] for item in error.errors()})
    if suite is not None:
        found += [str(mistake) for mistake in mistakes(suite, unsound)]
    return Draft(suite, tuple(found), unsound)


def _repaired(content: Mapping[str, Any], path: Path, wrong: set[Place]) -> tuple[Suite | None, frozenset[str]]:
    """The suite without what is wrong, and the names of the rows and columns that are."""
    kept: dict[str, Any] = {name: value for name, value in content.items() if name in Suite.model_fields}
    unsound: set[str] = set()
    entries = {name: {place[1] for place in wrong if place[0] == name and len(place) > 1} for name in kept}
    if isinstance(kept.get("rows"), list):
        kept["rows"] = _rows(kept["rows"], entries["rows"], unsound)
    if is_table(columns := kept.get("columns")):
        unsound |= {name for name in columns if name in entries["columns"]}
        kept["columns"] = {name: column for name, column in columns.items() if name not in unsound}
    if isinstance(claims := kept.get("claims"), list):
        empty = Claim.model_construct(statement="", section="", parts=())
        kept["claims"] = [
            empty if number in entries["claims"] else claim for number, claim in enumerate(cast(list[Any], claims))
        ]
    if any(place[0] == "pretrain" for place in wrong):
        kept.pop("pretrain")
        unsound |= {
            _key(row) for row in cast(list[Any], kept.get("rows") or []) if is_table(row) and "recipe" not in row
        }
    if any(place[0] == "source" for place in wrong):
        kept["source"] = {"title": path.stem}
    if any(place[0] == "notes" for place in wrong):
        kept.pop("notes", None)
    try:
        return Suite.model_validate({**kept, "path": path}), frozenset(unsound)
    except ValidationError:  # no rows or no columns are left
        return None, frozenset(unsound)


def _rows(rows: list[Any], wrong: set[int | str], unsound: set[str]) -> list[Any]:
    """The rows, with a stand-in of the same name for each that is wrong."""
    found: list[Any] = []
    for number, row in enumerate(rows):
        if number in wrong:
            given = {name: row.get(name) for name in ("label", "id")} if is_table(row) else {}
            named = {name: value for name, value in given.items() if isinstance(value, str)}
            row = {"label": f"row {number + 1}", **named}
            unsound.add(_key(row))
        found.append(row)
    return found


def _key(row: Mapping[str, Any]) -> str:
    """A row's name in claims, as `Row.key`."""
    return str(row.get("id") or row.get("label"))
