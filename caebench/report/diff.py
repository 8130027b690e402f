"""`caebench diff`: two configs field by field, each named by a job, a cell, a recipe or a preset."""

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic import ValidationError

from caebench import suites
from caebench.config.base import Config, is_table
from caebench.config.data import EmbeddedData
from caebench.config.names import suggest
from caebench.config.site import describe
from caebench.config.stage import Pretrain
from caebench.config.variants import VARIANTS, VariantName
from caebench.plan.files import read_json
from caebench.plan.identity import full, kind_of
from caebench.plan.scale import Scale
from caebench.plan.store import JOB, Store, read_config
from caebench.recipes import EVALUATIONS, SOURCES
from caebench.recipes.presets import PRESETS
from caebench.suites import Choice, Row, Table, build, look_up

RECIPES = {**SOURCES, **EVALUATIONS}
VARIANT_NAMES: dict[str, VariantName] = {name: name for name in VARIANTS if name.startswith("vit_")}
JOB_ID = re.compile(r"[0-9a-f]{1,10}")
FORMS = "a recipe such as cae or cae:variant=vit_l,epochs=1600, a cell SUITE/ROW/COLUMN, a pretraining SUITE/ROW"
NOTHING = "-"  # stands for a field that one side does not have


@dataclass(frozen=True)
class Side:
    """One of the two configs, with what a preset must know of it and its config does not say."""

    name: str
    config: Config
    variant: VariantName | None = None  # the encoder's
    epochs: int | None = None  # of its pretraining; None: not said
    inputs: Mapping[str, str] | None = None  # role -> job; None: not a job
    notes: tuple[str, ...] = ()


class Change(NamedTuple):
    """A field whose values differ."""

    field: str
    a: Any
    b: Any


@dataclass(frozen=True)
class Difference:
    """What two configs do not share."""

    a: str
    b: str
    kind: str
    changes: tuple[Change, ...]
    notes: tuple[str, ...]


def compare(first: str, second: str, scale: Scale, store: Store) -> Difference:
    """The fields in which two configs differ.

    Raises:
        ValueError: a name says nothing, or the two are not of one kind.
    """
    a, b = _sides(first, second, scale, store)
    kind, other = kind_of(a.config), kind_of(b.config)
    if kind != other:
        raise ValueError(
            f"'{first}' is of kind {kind}, '{second}' of kind {other}: they share no fields. Name two of one kind."
        )
    return Difference(a.name, b.name, kind, tuple(_changes(_fields(a, b), _fields(b, a))), (*a.notes, *b.notes))


def facts(difference: Difference) -> dict[str, Any]:
    """A difference in plain values."""
    return {
        "a": difference.a,
        "b": difference.b,
        "kind": difference.kind,
        "equal": not difference.changes,
        "differences": [
            {key: value for key, value in change._asdict().items() if value != NOTHING} for change in difference.changes
        ],
        "notes": list(difference.notes),
    }


def _sides(first: str, second: str, scale: Scale, store: Store) -> tuple[Side, Side]:
    """Both sides; a preset is resolved for what the other one is."""
    match first in PRESETS, second in PRESETS:
        case True, True:
            raise ValueError(f"'{first}' and '{second}' are both presets, of any kind. Name on one side {FORMS}.")
        case True, False:
            other = _resolve(second, scale, store)
            return _preset(first, other, scale), other
        case False, True:
            other = _resolve(first, scale, store)
            return other, _preset(second, other, scale)
        case _:
            return _resolve(first, scale, store), _resolve(second, scale, store)


def _resolve(text: str, scale: Scale, store: Store) -> Side:
    if "/" in text:
        return _cell(text, scale)
    name, _, arguments = text.partition(":")
    if name in RECIPES:
        return _recipe(text, name, arguments, scale)
    close = suggest(name, [*RECIPES, *PRESETS])
    if JOB_ID.fullmatch(text):  # `cae` is one too: recipes go first
        try:
            return _job(text, store)
        except ValueError as error:
            raise ValueError(f"{error}{close}") from error
    raise ValueError(
        f"'{text}': unknown.{close} It is neither {FORMS}, a preset nor the beginning of a job's id. Recipes: "
        f"{', '.join(RECIPES)}. Presets, without arguments: {', '.join(PRESETS)}."
    )


def _preset(name: str, other: Side, scale: Scale) -> Side:
    embedded = isinstance(getattr(other.config, "data", None), EmbeddedData)
    variant = VARIANT_NAMES.get(other.variant or "vit_b")
    if scale.name != "paper" or embedded or variant is None:
        raise ValueError(
            f"preset '{name}' is at paper scale, '{other.name}' at another. Leave --scale out, and name a recipe, a "
            "cell or a job at paper scale."
        )
    preset = PRESETS[name](other.config, variant, other.epochs)
    return Side(name, preset.config, notes=tuple(f"{name}: {note}" for note in preset.notes))


def _recipe(text: str, name: str, arguments: str, scale: Scale) -> Side:
    where = f"'{text}'"
    choice = _choice(name, arguments, where)
    variant = look_up(VARIANT_NAMES, choice.variant or "vit_b", where, "variant", "Choose one of them.")
    config = build(RECIPES[name], choice.arguments(), where)
    return Side(text, scale.apply(config), variant, _pretraining_epochs(config))


def _choice(name: str, arguments: str, where: str) -> Choice:
    """The arguments of a recipe out of `variant=vit_l,epochs=1600`."""
    accepted = list(inspect.signature(RECIPES[name]).parameters)
    given: dict[str, str] = {}
    for part in arguments.split(",") if arguments else ():
        key, _, value = (side.strip() for side in part.partition("="))
        if key not in accepted:
            raise ValueError(f"{where}: recipe '{name}' takes no '{key}'. It takes: {', '.join(accepted)}.")
        if not value or key in given:
            raise ValueError(f"{where}: '{key}' needs one value. Write {name}:{key}=VALUE.")
        given[key] = value
    try:
        return Choice.model_validate(given)
    except ValidationError as error:
        raise ValueError(f"{where}: {describe(error)}. Correct it.") from error


def _cell(text: str, scale: Scale) -> Side:
    """A cell, or a row's pretraining: the row is what stands between the suite and, for a cell, the last slash."""
    suite, rest = _split_suite(text)
    table = suites.load(suite)
    if row := _find_row(table, rest):
        config = table.pretraining(_runnable(table, row))
        return Side(text, scale.apply(config), config.variant, _pretraining_epochs(config))
    name, _, key = rest.rpartition("/")
    row = _find_row(table, name)
    if row is None:
        rows = [row.id or row.label for row in table.rows]
        raise ValueError(
            f"'{text}': {table.path} has no row '{name or rest}'.{suggest(name or rest, rows)} Rows: {', '.join(rows)}."
        )
    column = look_up(table.columns, key, f"'{text}'", "column", f"Columns are those of {table.path}.")
    source = table.pretraining(_runnable(table, row))
    config = table.evaluation(row, column)
    return Side(text, scale.apply(config), source.variant, _pretraining_epochs(source))


def _split_suite(text: str) -> tuple[str, str]:
    """At the first slash, or after the file where the suite is one."""
    file, toml, rest = text.partition(".toml/")
    suite, _, row = text.partition("/")
    return (file + ".toml", rest) if toml else (suite, row)


def _find_row(table: Table, name: str) -> Row | None:
    """A row by its id, or else by its label."""
    by_label = {row.label: row for row in reversed(table.rows)}
    by_id = {row.id: row for row in reversed(table.rows) if row.id}
    return by_id.get(name) or by_label.get(name)


def _runnable(table: Table, row: Row) -> Row:
    if row.quoted:
        raise ValueError(f"{table.where(row)}: quoted from the paper, so it has no config. Name a row that is run.")
    return row


def _job(text: str, store: Store) -> Side:
    folder = store.find(text)
    name = f"{folder.parent.name}/{folder.name}"
    config, inputs = _stored(store, name)
    source = _stored(store, inputs["encoder"])[0] if "encoder" in inputs else config
    return Side(name, config, getattr(source, "variant", None), _pretraining_epochs(source), inputs)


def _stored(store: Store, name: str) -> tuple[Config, dict[str, str]]:
    """A job's config and inputs out of its folder."""
    path = store.root / name / JOB
    content = read_json(path)
    try:
        return read_config(content["config"]), content["inputs"]
    except ValidationError as error:
        raise ValueError(
            f"{path}: {describe(error)}. Another version of caebench wrote it: compare it with that version."
        ) from error


def _pretraining_epochs(config: Config) -> int | None:
    return config.optimization.epochs if isinstance(config, Pretrain) else None


def _fields(side: Side, other: Side) -> dict[str, Any]:
    """Every field that can change a number, and the inputs where both sides are jobs."""
    fields = _flat(full(side.config))
    if side.inputs is None or other.inputs is None:
        return fields
    return {**fields, **_flat(side.inputs, "inputs.")}


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Tables in tables as one table, with dots in the names."""
    found: dict[str, Any] = {}
    for name, value in content.items():
        found |= _flat(value, f"{prefix}{name}.") if is_table(value) else {f"{prefix}{name}": value}
    return found


def _changes(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Change]:
    names = dict.fromkeys([*a, *b])
    pairs = (Change(name, a.get(name, NOTHING), b.get(name, NOTHING)) for name in names)
    return [change for change in pairs if change.a != change.b]
