"""A config out of a file, by the class of its kind."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from caebench.specs.base import Config, is_table
from caebench.specs.did_you_mean import suggest

C = TypeVar("C", bound=Config)


def read_by_kind(content: Mapping[str, Any], known: Mapping[str, type[C]]) -> C:
    """The config that a table holds.

    Raises:
        ValueError: there is no such kind, or a field is wrong.
    """
    kind = str(content.get("kind"))
    if kind not in known:
        raise ValueError(f"kind '{kind}': unknown.{suggest(kind, known)} Known: {', '.join(known)}.")
    return known[kind].model_validate(content)


def of_kinds(known: Mapping[str, type[C]]) -> Callable[[object], object]:
    """Reads a field that may hold any of these kinds; what is no table is left to the field's own type."""
    return lambda value: read_by_kind(value, known) if is_table(value) else value
