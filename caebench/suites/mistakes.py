"""Fields of a suite file that are unknown, missing or of a wrong type: one line each, with the row's label."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from caebench.files.toml import brief, read_toml
from caebench.specs.base import Config
from caebench.specs.did_you_mean import suggest
from caebench.suites.claims import RENAMED, Claim, ClaimPart
from caebench.suites.recipes import SuiteError
from caebench.suites.suite import Choice, Column, Origin, Row, Suite


def read_content(path: Path) -> dict[str, Any]:
    """A suite file's content.

    Raises:
        ValueError: it is not TOML, or has the field that `Suite` keeps for its path.
        OSError: it cannot be read.
    """
    content = read_toml(path)
    if "path" in content:
        raise SuiteError(str(path), f"unknown field 'path'. Fields: {', '.join(_fields(Suite))}.")
    return content


def explain(error: ValidationError, content: Mapping[str, Any]) -> list[str]:
    """Each mistake with the row's label or the claim's statement, and the nearest or renamed field."""
    ordered = sorted(error.errors(), key=lambda one: one["loc"][-1] not in RENAMED)
    return [_explain(one, content) for one in ordered]


def _explain(item: ErrorDetails, content: Mapping[str, Any]) -> str:
    place = [str(part) for part in item["loc"]]
    owner = _owner(place)
    entry, place = _entry(place, content)
    field = ".".join(place)
    if item["type"] == "extra_forbidden":
        if (new := RENAMED.get(place[-1])) in owner.model_fields or new == "lower_each":
            return f"{entry}field '{field}' is called '{new}' now. Rename it."
        known = _fields(owner)
        return f"{entry}unknown field '{brief(field)}'.{suggest(place[-1], known)} Fields: {', '.join(known)}."
    said = item["msg"].removeprefix("Value error, ")
    value = item["input"]
    shown = f" is {brief(repr(value))}" if isinstance(value, str | int | float) else ""
    return f"{entry}field '{field}'{shown}: {said[0].lower()}{said[1:]}. Correct the file."


def _fields(owner: type[Config]) -> list[str]:
    """The fields that a file may have; a suite's path is not written in it."""
    return [name for name in owner.model_fields if name != "path"]


def _owner(place: list[str]) -> type[Config]:
    """The config that a wrong field belongs to."""
    if place[0] == "claims":
        return ClaimPart if "parts" in place[:-1] else Claim
    owners = {"source": Origin, "pretrain": Choice, "columns": Column, "rows": Row}
    return owners.get(place[0], Suite) if len(place) > 1 else Suite


def _entry(place: list[str], content: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Which row or claim is meant, in words, and the location in it."""
    words = {"rows": ("row", "label"), "claims": ("claim", "statement")}
    if place[0] not in words or len(place) < 3 or not place[1].isdigit():
        return "", place
    word, name = words[place[0]]
    number = int(place[1])
    given = content[place[0]][number]
    title = given.get(name) or given.get("says") or f"no {name}"  # `says` was the statement's name
    return f'{word} {number + 1} ("{brief(str(title))}"), ', place[2:]
