"""A mistake in what a user wrote, in one line: field, value, what is allowed, the nearest name. Never a whole table."""

import re
from collections.abc import Sequence
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from caebench.files.toml import brief
from caebench.specs.base import Config
from caebench.specs.did_you_mean import suggest


def words_of(error: ValueError) -> str:
    """Any error of a value in one line."""
    return describe(error) if isinstance(error, ValidationError) else str(error)


def describe(error: ValidationError, kind: type[Config] | None = None) -> str:
    """A validation error in one line; `kind` is what was read, if its fields are to be suggested."""
    return "; ".join(_describe(item, kind) for item in error.errors())


def _describe(item: ErrorDetails, kind: type[Config] | None) -> str:
    place = [part for part in item["loc"] if part != "[key]"]
    field = brief(".".join(map(str, place)))
    said = item["msg"].removeprefix("Value error, ")
    said = f"{said[:1].lower()}{said[1:]}"
    if item["type"] == "extra_forbidden":
        known = list(owner.model_fields) if (owner := _owner(kind, place[:-1])) else []
        listed = f" Fields: {', '.join(known)}" if known else ""
        return f"unknown field '{field}'" + (f".{suggest(str(place[-1]), known)}{listed}" if known else "")
    if item["type"] == "missing":
        return f"missing field '{field}'"
    value = item["input"]
    if not field:
        return said
    shown = f" is {brief(repr(value))}" if isinstance(value, str | int | float | None) else ""
    if item["type"] == "literal_error":
        near = suggest(str(value), re.findall(r"'([^']*)'", said)).strip()
        shown += f" ({near[:1].lower()}{near[1:]})" if near else ""
    return f"field '{field}'{shown}: {said}"


def _owner(kind: Any, place: Sequence[Any]) -> type[Config] | None:
    """The config at a place in another: names of a table and numbers of a list lead to no field of their own."""
    for part in place:
        if kind is not None and str(part) in kind.model_fields:
            kind = _config_in(kind.model_fields[str(part)].annotation)
    return kind


def _config_in(annotation: Any) -> type[Config] | None:
    """The first config in a type: of `dict[str, Resources]` or `Sharing | None`."""
    if isinstance(annotation, type) and issubclass(annotation, Config):
        return annotation
    return next((found for part in get_args(annotation) if (found := _config_in(part))), None)
