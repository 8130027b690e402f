"""`caebench diff`: two configs field by field, each named by a job, a cell, a recipe or a preset."""

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from caebench.files.layout import JOB, name_of
from caebench.files.result import read_whole
from caebench.specs.base import Config, is_table
from caebench.specs.did_you_mean import suggest
from caebench.specs.identity import full, kind_of
from caebench.specs.inputs.dataset import SyntheticData
from caebench.specs.mistakes import words_of
from caebench.specs.presets import PRESETS
from caebench.specs.pretrain import Pretrain
from caebench.specs.registry import EVALUATIONS, SOURCES, read_config
from caebench.specs.scale import Scale
from caebench.specs.variants import VARIANTS, VariantName
from caebench.store.store import Store
from caebench.suites import loading as suites
from caebench.suites.recipes import build, look_up
from caebench.suites.suite import Row, Suite

RECIPES = {**SOURCES, **EVALUATIONS}
VARIANT_NAMES: dict[str, VariantName] = {name: name for name in VARIANTS if name.startswith("vit_")}
JOB_ID = re.compile(r"[0-9a-f]{1,10}")
FORMS = "a recipe such as cae or cae:variant=vit_l,epochs=1600, a cell SUITE/ROW/COLUMN, a pretraining SUITE/ROW"
NOTHING = "-"  # stands for a field that one side does not have


@dataclass(frozen=True)
class Side:
    """One of the two configs, with what a preset needs to know about it and its config does not say."""

    name: str
    config: Config
    variant: VariantName | None = None  # the encoder's
    epochs: int | None = None  # of its pretraining; None: unknown
    inputs: Mapping[str, str] | None = None  # role -> job; None: not a job
    notes: tuple[str, ...] = ()


class Change(NamedTuple):
    """A field whose values differ."""

    field: str
    a: Any
    b: Any


@dataclass(frozen=True)
class Difference:
    """The fields in which two configs differ."""

    a: str
    b: str
    kind: str
    changes: tuple[Change, ...]
    notes: tuple[str, ...]


def compare(first: str, second: str, scale: Scale, store: Store) -> Difference:
    """The fields in which two configs differ.

    Raises:
        ValueError: a name is unknown, or the two are of different kinds.
    """
    a, b = _sides(first, second, scale, store)
    kind, other = kind_of(a.config), kind_of(b.config)
    if kind != other:
        raise ValueError(
            f"'{first}' is of kind {kind}, '{second}' of kind {other}: they share no fields. Name two of the same kind."
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
    """Both sides; a preset depends on the kind of the other side."""
    match first in PRESETS, second in PRESETS:
        case True, True:
            raise ValueError(
                f"'{first}' and '{second}' are both presets, which have no kind. Give {FORMS} on one side."
            )
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
    if JOB_ID.fullmatch(text):  # `cae` matches too, so recipes are looked up first
        try:
            return _job(text, store)
        except ValueError as error:
            raise ValueError(f"{error}{close}") from error
    raise ValueError(
        f"'{text}': unknown.{close} It is neither {FORMS}, a preset nor the beginning of a job's id. Recipes: "
        f"{', '.join(RECIPES)}. Presets, without arguments: {', '.join(PRESETS)}."
    )


def _preset(name: str, other: Side, scale: Scale) -> Side:
    is_synthetic = isinstance(getattr(other.config, "data", None), SyntheticData)
    variant = VARIANT_NAMES.get(other.variant or "vit_b")
    if scale.name != "paper" or is_synthetic or variant is None:
        raise ValueError(
            f"preset '{name}' is at paper scale, '{other.name}' is not. Omit --scale, and name a recipe, a "
            "cell or a job at paper scale."
        )
    preset = PRESETS[name](other.config, variant, other.epochs)
    return Side(name, preset.config, notes=tuple(f"{name}: {note}" for note in preset.notes))


def _recipe(text: str, name: str, arguments: str, scale: Scale) -> Side:
    where = f"'{text}'"
    chosen = _arguments(name, arguments, where)
    variant = look_up(VARIANT_NAMES, chosen.get("variant", "vit_b"), where, "variant", "Choose one of them.")
    config = build(RECIPES[name], chosen, where)
    return Side(text, scale.apply(config), variant, _pretraining_epochs(config))


def _arguments(name: str, arguments: str, where: str) -> dict[str, str]:
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
    return given


def _cell(text: str, scale: Scale) -> Side:
    """A cell, or a row's pretraining: the row is the part after the suite and, for a cell, before the last slash."""
    suite_name, rest = _split_suite(text)
    suite = suites.load(suite_name)
    if row := _find_row(suite, rest):
        config = suite.pretraining(_runnable(suite, row))
        return Side(text, scale.apply(config), getattr(config, "variant", None), _pretraining_epochs(config))
    name, _, key = rest.rpartition("/")
    row = _find_row(suite, name)
    if row is None:
        rows = [row.id or row.label for row in suite.rows]
        raise ValueError(
            f"'{text}': {suite.path} has no row '{name or rest}'.{suggest(name or rest, rows)} Rows: {', '.join(rows)}."
        )
    column = look_up(suite.columns, key, f"'{text}'", "column", f"Columns are those of {suite.path}.")
    source = suite.pretraining(_runnable(suite, row))
    config = suite.evaluation(row, column)
    return Side(text, scale.apply(config), getattr(source, "variant", None), _pretraining_epochs(source))


def _split_suite(text: str) -> tuple[str, str]:
    """Split at the first slash, or after the file if the suite is a path."""
    file, toml, rest = text.partition(".toml/")
    suite, _, row = text.partition("/")
    return (file + ".toml", rest) if toml else (suite, row)


def _find_row(suite: Suite, name: str) -> Row | None:
    """A row by its id, or else by its label."""
    by_label = {row.label: row for row in reversed(suite.rows)}
    by_id = {row.id: row for row in reversed(suite.rows) if row.id}
    return by_id.get(name) or by_label.get(name)


def _runnable(suite: Suite, row: Row) -> Row:
    if row.quoted:
        raise ValueError(
            f"{suite.where(row)}: quoted from the paper, so it has no config. Name a row that is not quoted."
        )
    return row


def _job(text: str, store: Store) -> Side:
    folder = store.find(text)
    name = name_of(folder)
    config, inputs = _stored(store, name)
    source = _stored(store, inputs["encoder"])[0] if "encoder" in inputs else config
    return Side(name, config, getattr(source, "variant", None), _pretraining_epochs(source), inputs)


def _stored(store: Store, name: str) -> tuple[Config, dict[str, str]]:
    """A job's config and inputs, from its folder."""
    path = store.at(name) / JOB
    content = read_whole(path)
    try:
        return read_config(content["config"]), content["inputs"]
    except ValueError as error:
        raise ValueError(
            f"{path}: {words_of(error)}. Another version of caebench wrote it: compare it with that version."
        ) from error


def _pretraining_epochs(config: Config) -> int | None:
    return config.optimization.epochs if isinstance(config, Pretrain) else None


def _fields(side: Side, other: Side) -> dict[str, Any]:
    """Every field that can change a number, and the inputs if both sides are jobs."""
    fields = _flat(full(side.config))
    if side.inputs is None or other.inputs is None:
        return fields
    return {**fields, **_flat(side.inputs, "inputs.")}


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables as one flat table with dotted names."""
    found: dict[str, Any] = {}
    for name, value in content.items():
        found |= _flat(value, f"{prefix}{name}.") if is_table(value) else {f"{prefix}{name}": value}
    return found


def _changes(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Change]:
    names = dict.fromkeys([*a, *b])
    pairs = (Change(name, a.get(name, NOTHING), b.get(name, NOTHING)) for name in names)
    return [change for change in pairs if change.a != change.b]
