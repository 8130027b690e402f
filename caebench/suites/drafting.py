"""A suite file read as far as it goes: every mistake in it is found, not only the first.

What cannot be read is replaced by a stand-in, so that rows and claims keep their numbers and the rest can be checked.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

from pydantic import ValidationError

from caebench.specs.base import is_table
from caebench.suites.checking import mistakes
from caebench.suites.claims import Claim
from caebench.suites.mistakes import explain, read_content
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
        content = read_content(path)
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
    rows, columns, claims = content.get("rows"), content.get("columns"), content.get("claims")
    if not isinstance(rows, list) or not is_table(columns):
        return None, frozenset()
    parts = {place[0] for place in wrong}
    kept: dict[str, Any] = {name: content[name] for name in ("source", "pretrain") if name in content}
    unsound = {str(place[1]) for place in wrong if place[0] == "columns" and len(place) > 1}
    kept["rows"] = _rows(cast(list[Any], rows), _numbers(wrong, "rows"), "pretrain" in parts, unsound)
    kept["columns"] = {name: column for name, column in columns.items() if name not in unsound}
    if isinstance(claims, list):
        kept["claims"] = _claims(cast(list[Any], claims), _numbers(wrong, "claims"))
    if "source" in parts:
        kept["source"] = {"title": path.stem}
    if "pretrain" in parts:
        del kept["pretrain"]
    try:
        return Suite.model_validate({**kept, "path": path}), frozenset(unsound)
    except ValidationError:  # no rows or no columns are left
        return None, frozenset(unsound)


def _numbers(wrong: set[Place], name: str) -> set[int | str]:
    """Which entries of a list are wrong."""
    return {place[1] for place in wrong if place[0] == name and len(place) > 1}


def _claims(claims: list[Any], wrong: set[int | str]) -> list[Any]:
    """The claims, with a stand-in that names no cell for each that is wrong."""
    empty = Claim.model_construct(statement="", section="", parts=())
    return [empty if number in wrong else claim for number, claim in enumerate(claims)]


def _rows(rows: list[Any], wrong: set[int | str], without_shared: bool, unsound: set[str]) -> list[Any]:
    """The rows, with a stand-in of the same name for each that is wrong."""
    found: list[Any] = []
    for number, row in enumerate(rows):
        if number in wrong:
            given = {name: row.get(name) for name in ("label", "id")} if is_table(row) else {}
            named = {name: value for name, value in given.items() if isinstance(value, str)}
            row = {"label": f"row {number + 1}", **named}
        if number in wrong or (without_shared and "recipe" not in row):
            unsound.add(str(row.get("id") or row.get("label")))
        found.append(row)
    return found
