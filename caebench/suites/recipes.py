"""What a suite may do with a recipe: name it, give its arguments, and set single fields on its result."""

import inspect
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Any, TypeVar, get_args

from pydantic import ValidationError, validate_call

from caebench.files.toml import brief
from caebench.specs.base import Config, is_table
from caebench.specs.did_you_mean import suggest
from caebench.specs.mistakes import describe, words_of

T = TypeVar("T")
C = TypeVar("C", bound=Config)
LISTED = 1_000  # characters of a list of names in an error


class SuiteError(ValueError):
    """A mistake in a suite file."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")
        self.where, self.what = where, what


def look_up(known: Mapping[str, T], name: str | None, where: str, what: str, do: str) -> T:
    """An entry by name, or an error that lists the known ones."""
    if name is None:
        raise SuiteError(where, f"no {what} is named. Known: {', '.join(known)}.")
    if name not in known:
        listed = brief(", ".join(known), LISTED)
        raise SuiteError(where, f"unknown {what} '{brief(name)}'.{suggest(name, known)} Known: {listed}. {do}")
    return known[name]


def build(recipe: Callable[..., T], arguments: dict[str, Any], where: str) -> T:
    """Call a recipe; its errors get a location."""
    for name, value in arguments.items():
        if isinstance(value, bool) and not _takes_bool(recipe, name):  # pydantic would take it for 0 or 1
            raise SuiteError(where, f"field '{name}' is {value}: input should be no truth value")
    try:
        if any(isinstance(value, list | dict) for value in arguments.values()):
            return _checked(recipe)(**arguments)
        return _called(recipe, **arguments)
    except ValueError as error:
        raise SuiteError(where, words_of(error)) from error


@lru_cache(maxsize=1024, typed=True)
def _called(recipe: Callable[..., T], **arguments: Any) -> T:
    """What a recipe gives for these arguments: configs are frozen, so that rows share it."""
    return _checked(recipe)(**arguments)


@cache
def _checked(recipe: Callable[..., T]) -> Callable[..., T]:
    """The recipe with its argument types checked against its signature."""
    return validate_call(recipe)


@cache
def parameters(recipe: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """The arguments of a recipe by name."""
    return inspect.signature(recipe).parameters


def _takes_bool(recipe: Callable[..., Any], name: str) -> bool:
    """Whether an argument of a recipe may be true or false."""
    wanted = parameters(recipe)[name].annotation
    return any(one in (bool, Any) for one in (wanted, *get_args(wanted)))


def override(config: C, changes: Mapping[str, Any], where: str, prefix: str = "set") -> C:
    """A config with single fields changed, including nested tables of a `set`."""
    new: dict[str, Any] = {}
    for name, value in changes.items():
        if name not in type(config).model_fields:
            known = type(config).model_fields
            raise SuiteError(
                where, f"unknown field '{prefix}.{name}'.{suggest(name, known)} Fields: {', '.join(known)}."
            )
        old = getattr(config, name)
        if isinstance(old, Config) and is_table(value) and "kind" not in value:
            new[name] = override(old, value, where, f"{prefix}.{name}")
        else:
            new[name] = value
    try:
        return config.replace(**new) if new else config
    except ValidationError as error:
        raise SuiteError(where, describe(error)) from error
