"""A job's identity: the result-bearing fields of its config that differ from their defaults, and its inputs' ids.

So a new field whose default is the old behaviour keeps every id, and a field marked `NOT_IDENTITY` never enters one.
A change of code that alters numbers is invisible to a hash, so each kind has a version.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, cast

from pydantic.fields import FieldInfo

from caebench.files.layout import ID_LENGTH
from caebench.specs.base import Config, NotIdentity, is_table

NOTHING = object()


def job_id(config: Config, versions: Sequence[int], input_ids: Mapping[str, str]) -> str:
    """The first digits of a hash over kind, version, identity and inputs."""
    content = {
        "kind": kind_of(config),
        "version": list(versions),
        "config": identity(config),
        "inputs": dict(sorted(input_ids.items())),
    }
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:ID_LENGTH]


def kind_of(config: Config) -> str:
    """The tag of a stage's config."""
    return str(getattr(config, "kind"))  # noqa: B009 every stage config has one; pyright cannot know


def identity(config: Config) -> dict[str, Any]:
    """Result-bearing fields that differ from their defaults, in values that JSON holds exactly."""
    return {
        name: canonical(value)
        for name, default in _defaults(type(config))
        if (value := getattr(config, name)) is not default and value != default
    }


@cache
def _defaults(kind: type[Config]) -> tuple[tuple[str, Any], ...]:
    """The result-bearing fields of a class with their defaults; a required one's equals nothing."""
    fields = kind.model_fields.items()
    return tuple((name, NOTHING if f.is_required() else f.get_default()) for name, f in fields if bears_result(f))


def full(config: Config) -> dict[str, Any]:
    """Every result-bearing field, defaults filled in: what a finished job is compared with."""
    fields = type(config).model_fields
    return {
        name: full(value) if isinstance(value := getattr(config, name), Config) else canonical(value)
        for name, field in fields.items()
        if bears_result(field)
    }


def bears_result(field: FieldInfo) -> bool:
    """Whether a field can change a number."""
    return not any(isinstance(mark, NotIdentity) for mark in field.metadata)


def canonical(value: Any) -> Any:
    """A value that hashes the same everywhere.

    Raises:
        TypeError: the value has no stable form; never its `str`.
    """
    match value:
        case None | str() | int():  # bool is an int
            return value
        case Config():
            return identity(value)
        case float():
            return float(repr(value))
        case tuple():
            return [canonical(item) for item in cast(tuple[Any, ...], value)]  # the match tells no item type
        case _:
            raise TypeError(f"{value!r}: a {type(value).__name__} has no canonical form. Give the config a plain type.")


def differing(stored: Mapping[str, Any], today: Mapping[str, Any], prefix: str = "") -> list[str]:
    """`field: stored -> today` for each field of a stored config whose value is another today."""
    lines: list[str] = []
    for name, old in stored.items():
        new = today.get(name)
        if is_table(old) and is_table(new):
            lines += differing(old, new, f"{prefix}{name}.")
        elif old != new:
            lines.append(f"{prefix}{name}: {old} -> {new}")
    return lines
