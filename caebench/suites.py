"""Suites: `suites/<name>.toml` read into a frozen `Table`. A suite chooses recipes; it may not compute.

Every mistake in a file stops here, with file, row, field and what to do.
"""

import inspect
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import Field, PositiveInt, ValidationError

from caebench.config.base import Config, is_table
from caebench.config.claim import CellName, Claim, ClaimPart
from caebench.config.names import suggest
from caebench.config.site import describe
from caebench.config.stage import EXTRA_METRICS, METRICS, Evaluation, Source
from caebench.recipes import EVALUATIONS, SOURCES

T = TypeVar("T")
C = TypeVar("C", bound=Config)
FOLDERS = (Path("suites"), Path(__file__).parent.parent / "suites", Path(__file__).parent / "suites_builtin")


class SuiteError(ValueError):
    """A mistake in a suite file."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")


class Origin(Config):
    """What the suite mirrors."""

    title: str
    paper: str = "CAE, arXiv:2202.03026"
    table: PositiveInt | None = None  # as printed


class Choice(Config):
    """A recipe with its arguments, and single fields set after it."""

    recipe: str | None = None
    variant: str | None = None
    epochs: PositiveInt | None = None
    target: str | None = None
    sha256: str | None = None
    family: str | None = None
    num_heads: PositiveInt | None = None
    patch_size: PositiveInt | None = None
    pixel_stats: str | None = None
    set: dict[str, Any] = Field(default_factory=dict)

    def arguments(self) -> dict[str, Any]:
        """The arguments of the recipe that are given."""
        names = ("variant", "epochs", "target", "sha256", "family", "num_heads", "patch_size", "pixel_stats")
        return {name: value for name in names if (value := getattr(self, name)) is not None}


class Row(Choice):
    """A line of the table: one pretraining."""

    label: str
    id: str | None = None  # the row of published/*.csv that it mirrors
    quoted: bool = False  # shown from the paper, never run

    @property
    def key(self) -> str:
        """What claims call it: its id, or lacking one its label."""
        return self.id or self.label


class Column(Config):
    """A column of the table: one evaluation and one of its numbers."""

    header: str
    eval: str
    metric: str = "top1"
    published: str | None = None  # the metric's name in published/*.csv
    note: str | None = None  # printed under the table
    set: dict[str, Any] = Field(default_factory=dict)

    @property
    def is_extra(self) -> bool:
        """Whether it is shown only where a job has its number."""
        return any(self.metric in metrics for metrics in EXTRA_METRICS.values())


class Table(Config):
    """A suite file."""

    path: Path
    source: Origin
    pretrain: Choice
    columns: dict[str, Column] = Field(min_length=1)
    rows: tuple[Row, ...] = Field(min_length=1)
    claims: tuple[Claim, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The suite's name: its file's."""
        return self.path.stem

    def where(self, row: Row) -> str:
        """A row's place, for messages."""
        return f'{self.path}, row {self.rows.index(row) + 1} ("{row.label}")'

    def variant(self, row: Row) -> str:
        """The encoder's size in a row, at paper scale."""
        return row.variant or self.pretrain.variant or "vit_b"

    def pretraining(self, row: Row) -> Source:
        """The row's pretraining config, at paper scale."""
        where = self.where(row)
        name = row.recipe or self.pretrain.recipe
        recipe = look_up(SOURCES, name, where, "recipe", "Add recipes in caebench/recipes/.")
        accepted = inspect.signature(recipe).parameters
        shared = {key: value for key, value in self.pretrain.arguments().items() if key in accepted}
        for key in row.arguments().keys() - accepted.keys():
            raise SuiteError(where, f"recipe '{name}' takes no '{key}'. It takes: {', '.join(accepted)}.")
        config = build(recipe, {**shared, **row.arguments()}, where)
        own = self.pretrain.set if row.recipe in (None, self.pretrain.recipe) else {}
        return override(override(config, own, f"{self.path}, [pretrain]"), row.set, where)

    def evaluation(self, row: Row, column: Column) -> Evaluation:
        """A cell's evaluation config, at paper scale."""
        where = f'{self.path}, [columns], header "{column.header}"'
        recipe = look_up(EVALUATIONS, column.eval, where, "evaluation", "Add recipes in caebench/recipes/.")
        arguments: dict[str, Any] = {"variant": self.variant(row)}
        if "pretraining" in inspect.signature(recipe).parameters:
            arguments["pretraining"] = self.pretraining(row)
        config = override(build(recipe, arguments, where), column.set, where)
        known = (*METRICS[type(config)], *EXTRA_METRICS.get(type(config), ()))
        look_up(dict.fromkeys(known), column.metric, where, "metric", "Choose one of them.")
        return config

    def check(self) -> None:
        """Refuse rows that claims cannot tell apart, and claims on cells that are not here.

        Raises:
            SuiteError: two rows share an id or a label, or a claim names no row or no column.
        """
        keys = [row.key for row in self.rows]
        for key in keys:
            if keys.count(key) > 1:
                numbers = " and ".join(str(n) for n, other in enumerate(keys, 1) if other == key)
                raise SuiteError(str(self.path), f"rows {numbers} are both '{key}'. Give each its own id or label.")
        for claim, cell in self._named(own=True):
            self.find(cell, claim)

    def check_elsewhere(self) -> None:
        """Load the other suites that claims name, and refuse cells that are not there.

        Raises:
            SuiteError: a claim names no suite, or no row or column of one.
        """
        for claim, cell in self._named(own=False):
            known = dict.fromkeys(names())
            look_up(known, cell.suite, claim, "suite", "Add suites in suites/.")
            load(str(cell.suite)).find(cell, claim)

    def find(self, cell: CellName, where: str) -> tuple[Row, Column]:
        """A cell's row and column.

        Raises:
            SuiteError: they are not in this suite.
        """
        rows = {row.key: row for row in self.rows}
        do = f"A cell is ROW/COLUMN; rows and columns are those of suite '{self.name}'."
        row = look_up(rows, cell.row, where, "row", do)
        return row, look_up(self.columns, cell.column, where, "column", do)

    def _named(self, own: bool) -> Iterator[tuple[str, CellName]]:
        """The cells that claims name in this suite, or in others, each with the claim's place."""
        for number, claim in enumerate(self.claims, 1):
            where = f'{self.path}, claim {number} ("{claim.says}")'
            for text in claim.cells:
                cell = build(CellName.parse, {"text": text}, where)
                if (cell.suite in (None, self.name)) == own:
                    yield where, cell

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a suite file.

        Raises:
            SuiteError: it is not TOML, or a field is unknown, missing or wrong, or a claim names what is not there.
        """
        try:
            content = tomllib.loads(path.read_text(encoding="utf8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SuiteError(str(path), f"not valid TOML: {error}. Correct the file.") from error
        try:
            table = cls.model_validate({**content, "path": path})
        except ValidationError as error:
            raise SuiteError(str(path), _explain(error, content)) from error
        table.check()
        return table


def load(name: str) -> Table:
    """The suite of that name, or in that file.

    Raises:
        ValueError: there is no such suite, or its file is wrong.
    """
    if name.endswith(".toml"):
        if not Path(name).is_file():
            raise ValueError(f"{name}: no such suite file. Check the path, or give a name: {', '.join(names())}.")
        return Table.read(Path(name))
    paths = {path.stem: path for path in _files()}
    if name not in paths:
        raise ValueError(f"suite '{name}': not found.{suggest(name, paths)} Known: {', '.join(names())}.")
    return Table.read(paths[name])


ALL = "all"


def load_all(name: str) -> list[Table]:
    """The suite of that name or file, or every suite for `all`.

    Raises:
        ValueError: there is no such suite, or a file is wrong.
    """
    return [load(each) for each in names()] if name == ALL else [load(name)]


def names() -> list[str]:
    """The names of all suites."""
    return sorted({path.stem for path in _files()})


def find_table(number: int) -> Table:
    """The suite that mirrors a table of the paper.

    Raises:
        ValueError: no suite does.
    """
    tables = [load(name) for name in names()]
    found = [table for table in tables if table.source.table == number]
    if not found:
        known = sorted(table.source.table for table in tables if table.source.table is not None)
        raise ValueError(f"--table {number}: no suite mirrors it. Tables with a suite: {', '.join(map(str, known))}.")
    return found[0]


def look_up(known: Mapping[str, T], name: str | None, where: str, what: str, do: str) -> T:
    """An entry by name, or an error that says what there is."""
    if name is None:
        raise SuiteError(where, f"no {what} is named. Known: {', '.join(known)}.")
    if name not in known:
        raise SuiteError(where, f"unknown {what} '{name}'.{suggest(name, known)} Known: {', '.join(known)}. {do}")
    return known[name]


def build(recipe: Callable[..., T], arguments: dict[str, Any], where: str) -> T:
    """Call a recipe; its complaints get a place."""
    try:
        return recipe(**arguments)
    except ValidationError as error:
        raise SuiteError(where, describe(error)) from error
    except ValueError as error:
        raise SuiteError(where, str(error)) from error


def override(config: C, changes: Mapping[str, Any], where: str, prefix: str = "set") -> C:
    """A config with single fields changed, down the tables of a `set`."""
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


def _files() -> list[Path]:
    """Suite files: of the working folder first, then the project's own."""
    found: dict[str, Path] = {}
    for folder in FOLDERS:
        for path in sorted(folder.glob("*.toml")):
            found.setdefault(path.stem, path)
    return list(found.values())


def _explain(error: ValidationError, content: Mapping[str, Any]) -> str:
    """A validation error with the row's label or the claim's sentence, and the nearest known field."""
    first = error.errors()[0]
    place = [str(part) for part in first["loc"]]
    owner = _owner(place)
    entry, place = _entry(place, content)
    if first["type"] == "extra_forbidden":
        known = [name for name in owner.model_fields if name != "path"]
        return f"{entry}unknown field '{'.'.join(place)}'.{suggest(place[-1], known)} Fields: {', '.join(known)}."
    said = first["msg"].removeprefix("Value error, ")
    return f"{entry}field '{'.'.join(place)}': {said[0].lower()}{said[1:]}. Correct the file."


def _owner(place: list[str]) -> type[Config]:
    """The config that a wrong field stands in."""
    if place[0] == "claims":
        return ClaimPart if "parts" in place[:-1] else Claim
    owners = {"source": Origin, "pretrain": Choice, "columns": Column, "rows": Row}
    return owners.get(place[0], Table) if len(place) > 1 else Table


def _entry(place: list[str], content: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Which row or claim is meant, in words, and the place in it."""
    words = {"rows": ("row", "label"), "claims": ("claim", "says")}
    if place[0] not in words or len(place) < 3 or not place[1].isdigit():
        return "", place
    word, name = words[place[0]]
    number = int(place[1])
    return f'{word} {number + 1} ("{content[place[0]][number].get(name, f"no {name}")}"), ', place[2:]
