"""Suites: `suites/<name>.toml` read into a frozen `Suite`. A suite chooses recipes but cannot compute.

Every mistake in a file is an error here that names file, row, field and what to do.
"""

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from pydantic import ConfigDict, Field, PositiveInt, ValidationError

from caebench.files.paths import expand
from caebench.files.toml import brief, read_toml
from caebench.specs.base import Config
from caebench.specs.did_you_mean import suggest
from caebench.specs.job import EncoderSpec, Spec
from caebench.specs.registry import EVALUATIONS, SOURCES
from caebench.suites.claims import RENAMED, CellName, Claim, ClaimPart
from caebench.suites.recipes import SuiteError, build, look_up, override, parameters

FOLDERS = (Path("suites"), Path(__file__).parents[2] / "suites", Path(__file__).parents[1] / "suites_builtin")


SEED = "field 'set.seed': seeds are no part of a suite. Remove it, and give --seeds 0,1,2 to `run` and `report`."


class Origin(Config):
    """The table of the paper that the suite mirrors."""

    title: str
    paper: str = "CAE, arXiv:2202.03026"
    table: PositiveInt | None = None  # as printed


class Choice(Config):
    """A recipe with its arguments, and single fields that are set on its result."""

    model_config = ConfigDict(extra="allow")

    recipe: str | None = None
    set: dict[str, Any] = Field(default_factory=dict)

    def arguments(self) -> dict[str, Any]:
        """The arguments of the recipe that are given."""
        return dict(self.model_extra or {})


class Row(Choice):
    """A row of the table: one pretraining."""

    label: str
    id: str | None = None  # the row of published/*.csv that it mirrors
    quoted: bool = False  # shown from the paper, never run

    @property
    def key(self) -> str:
        """Its name in claims: its id, or else its label."""
        return self.id or self.label


class Column(Config):
    """A column of the table: one evaluation and one of its numbers."""

    header: str
    eval: str
    metric: str = "top1"
    data: str | None = None  # the data set, of a recipe that takes one
    published: str | None = None  # the metric's name in published/*.csv
    note: str | None = None  # printed under the table
    set: dict[str, Any] = Field(default_factory=dict)


class Suite(Config):
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

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each row, from 1, by its key."""
        return {row.key: number for number, row in enumerate(self.rows, 1)}

    def where(self, row: Row) -> str:
        """A row's location, for messages."""
        return f'{self.path}, row {self.numbers[row.key]} ("{brief(row.label)}")'

    def variant(self, row: Row) -> str:
        """The encoder's size in a row, at paper scale."""
        return {"variant": "vit_b", **self.pretrain.arguments(), **row.arguments()}["variant"]

    def default_pretraining(self, row: Row) -> EncoderSpec:
        """The row's pretraining from its recipe, before the suite sets single fields."""
        return self.pretraining(row, with_set=False)

    def pretraining(self, row: Row, with_set: bool = True) -> EncoderSpec:
        """The row's pretraining config, at paper scale."""
        where = self.where(row)
        name = row.recipe or self.pretrain.recipe
        recipe = look_up(SOURCES, name, where, "recipe", "Add recipes in caebench/specs/.")
        accepted = parameters(recipe)
        if unknown := row.arguments().keys() - accepted.keys():
            key = sorted(unknown)[0]
            hint = suggest(key, [*accepted, *Row.model_fields])
            raise SuiteError(where, f"recipe '{name}' takes no '{key}'.{hint} It takes: {', '.join(accepted)}.")
        shared = {key: value for key, value in self.pretrain.arguments().items() if key in accepted}
        config = build(recipe, {**shared, **row.arguments()}, where)
        if not with_set:
            return config
        own = self.pretrain.set if row.recipe in (None, self.pretrain.recipe) else {}
        return override(override(config, own, f"{self.path}, [pretrain]"), row.set, where)

    def evaluation(self, row: Row, column: Column) -> Spec:
        """A cell's evaluation config, at paper scale."""
        where = f'{self.path}, [columns], header "{column.header}"'
        recipe = look_up(EVALUATIONS, column.eval, where, "evaluation", "Add recipes in caebench/specs/.")
        arguments: dict[str, Any] = {"variant": self.variant(row), **({"data": column.data} if column.data else {})}
        if "pretraining" in parameters(recipe):
            arguments["pretraining"] = self.pretraining(row)
        config = override(build(recipe, arguments, where), column.set, where)
        look_up(dict.fromkeys(config.METRICS), column.metric, where, "metric", "Choose one of them.")
        return config

    def check(self) -> None:
        """Reject rows that claims cannot tell apart, and claims on cells that do not exist.

        Raises:
            SuiteError: two rows share an id or a label, or a claim names no row or no column.
        """
        for number, row in enumerate(self.rows, 1):
            if (last := self.numbers[row.key]) != number:
                both = f"rows {number} and {last} are both '{brief(row.key)}'. Give each its own id or label."
                raise SuiteError(str(self.path), both)
        self._check_fields()
        for claim, cell in self._named(own=True):
            self.find(cell, claim)

    def _check_fields(self) -> None:
        """Reject a field that is neither a row's nor an argument of any recipe."""
        known = {name for recipe in SOURCES.values() for name in parameters(recipe)}
        given = [(f"{self.path}, [pretrain]", self.pretrain), *((self.where(row), row) for row in self.rows)]
        for column in self.columns.values():
            if "seed" in column.set:
                raise SuiteError(f'{self.path}, [columns], header "{column.header}"', SEED)
        for where, choice in given:
            fields = [*type(choice).model_fields, *sorted(known)]
            if "seed" in choice.set:
                raise SuiteError(where, SEED)
            for name in choice.arguments().keys() - known:
                raise SuiteError(where, f"unknown field '{name}'.{suggest(name, fields)} Fields: {', '.join(fields)}.")

    def check_elsewhere(self) -> None:
        """Load the other suites that claims name, and reject cells that do not exist.

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
        do = f"A cell is ROW/COLUMN; rows and columns are those of suite '{self.name}'."
        row = self.rows[look_up(self.numbers, cell.row, where, "row", do) - 1]
        return row, look_up(self.columns, cell.column, where, "column", do)

    def _named(self, own: bool) -> Iterator[tuple[str, CellName]]:
        """The cells that claims name in this suite, or in others, each with the claim's location."""
        for number, claim in enumerate(self.claims, 1):
            where = f'{self.path}, claim {number} ("{claim.statement}")'
            for text in claim.cells:
                cell = build(CellName.parse, {"text": text}, where)
                if (cell.suite in (None, self.name)) == own:
                    yield where, cell

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a suite file.

        Raises:
            ValueError: it is not TOML.
            SuiteError: a field is unknown, missing or wrong, or a claim names an unknown cell.
        """
        content = read_toml(path)
        try:
            suite = cls.model_validate({**content, "path": path})
        except ValidationError as error:
            raise SuiteError(str(path), _explain(error, content)) from error
        suite.check()
        return suite


def load(name: str) -> Suite:
    """The suite of that name, or in that file.

    Raises:
        ValueError: there is no such suite, or its file is wrong.
    """
    if name.endswith(".toml"):
        path = expand(Path(name))
        if not path.exists():
            raise ValueError(f"{name}: no such suite file. Check the path, or give a name: {', '.join(names())}.")
        return Suite.read(path)
    paths = {path.stem: path for path in _files()}
    if name not in paths:
        raise ValueError(f"suite '{name}': not found.{suggest(name, paths)} Known: {', '.join(names())}.")
    return Suite.read(paths[name])


ALL = "all"


def load_all(name: str) -> list[Suite]:
    """The suite of that name or file, or every suite for `all`.

    Raises:
        ValueError: there is no such suite, or a file is wrong.
    """
    return [load(each) for each in names()] if name == ALL else [load(name)]


def names() -> list[str]:
    """The names of all suites."""
    return sorted({path.stem for path in _files()})


def find_suite(number: int) -> Suite:
    """The suite that mirrors a table of the paper.

    Raises:
        ValueError: no suite does.
    """
    suites = [load(name) for name in names()]
    found = [suite for suite in suites if suite.source.table == number]
    if not found:
        known = sorted(suite.source.table for suite in suites if suite.source.table is not None)
        raise ValueError(f"--table {number}: no suite mirrors it. Tables with a suite: {', '.join(map(str, known))}.")
    return found[0]


def _files() -> list[Path]:
    """Suite files: those of the working folder first, then the project's own."""
    found: dict[str, Path] = {}
    for folder in FOLDERS:
        for path in sorted(folder.glob("*.toml")):
            found.setdefault(path.stem, path)
    return list(found.values())


def _explain(error: ValidationError, content: Mapping[str, Any]) -> str:
    """A validation error with the row's label or the claim's statement, and the nearest or renamed field."""
    first = min(error.errors(), key=lambda one: one["loc"][-1] not in RENAMED)
    place = [str(part) for part in first["loc"]]
    owner = _owner(place)
    entry, place = _entry(place, content)
    if first["type"] == "extra_forbidden":
        if (new := RENAMED.get(place[-1])) in owner.model_fields or new == "lower_each":
            return f"{entry}field '{'.'.join(place)}' is called '{new}' now. Rename it."
        known = [name for name in owner.model_fields if name != "path"]
        return f"{entry}unknown field '{'.'.join(place)}'.{suggest(place[-1], known)} Fields: {', '.join(known)}."
    said = first["msg"].removeprefix("Value error, ")
    return f"{entry}field '{'.'.join(place)}': {said[0].lower()}{said[1:]}. Correct the file."


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
    return f'{word} {number + 1} ("{title}"), ', place[2:]
