"""What a suite is: rows and columns, and the configs that recipes and `set` fields make of them. It cannot compute."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field, PositiveInt

from caebench.files.toml import brief
from caebench.specs.base import Config
from caebench.specs.did_you_mean import suggest
from caebench.specs.job import EncoderSpec, Spec
from caebench.specs.registry import EVALUATIONS, SOURCES
from caebench.suites.claims import CellName, Claim
from caebench.suites.recipes import SuiteError, build, look_up, override, parameters

Recipe = Callable[..., EncoderSpec]


class Origin(Config):
    """The table of the paper that the suite mirrors."""

    title: str
    """The title of the table."""
    paper: str = "CAE, arXiv:2202.03026"
    """The paper."""
    table: PositiveInt | None = None
    """The table's number, as printed."""


class Choice(Config):
    """A recipe with its arguments, and single fields that are set on its result."""

    model_config = ConfigDict(extra="allow")

    recipe: str | None = None
    """The pretraining's recipe."""
    set: dict[str, Any] = Field(default_factory=dict)
    """Single fields that are set on what the recipe makes."""

    def arguments(self) -> dict[str, Any]:
        """The arguments of the recipe that are given."""
        return dict(self.model_extra or {})


class Row(Choice):
    """A row of the table: one pretraining."""

    label: str
    """What the table calls the row."""
    id: str | None = None
    """The row of published/*.csv that it mirrors."""
    quoted: bool = False
    """Shown from the paper, never run."""

    @property
    def key(self) -> str:
        """Its name in claims: its id, or else its label."""
        return self.id or self.label


class Column(Config):
    """A column of the table: one evaluation and one of its numbers."""

    header: str
    """What the table calls the column."""
    eval: str
    """The evaluation's recipe."""
    metric: str = "top1"
    """Which of its numbers is shown."""
    data: str | None = None
    """The data set, of an evaluation that takes one; `food101@1%` and `food101@10shot` are few-shot data."""
    draws: PositiveInt | None = None
    """How many draws of few-shot data are evaluated, a job each; 5 if nothing is said."""
    published: str | None = None
    """The metric's name in published/*.csv."""
    note: str | None = None
    """A note that is printed under the table."""
    set: dict[str, Any] = Field(default_factory=dict)
    """Single fields that are set on what the recipe makes."""


class Suite(Config):
    """A suite file."""

    path: Path
    """The suite's file."""
    source: Origin | None = None
    """The table of the paper that the suite mirrors; without it, the suite has no published numbers."""
    pretrain: Choice = Choice()
    """The defaults of every row; without it, each row names its own recipe."""
    columns: dict[str, Column] = Field(min_length=1)
    """The columns by name: evaluations, and which number of each is shown."""
    rows: tuple[Row, ...] = Field(min_length=1)
    """The rows: pretrainings."""
    claims: tuple[Claim, ...] = ()
    """Statements of the paper, as inequalities between cells."""
    notes: tuple[str, ...] = ()
    """Notes that are printed under the table."""

    @property
    def name(self) -> str:
        """The suite's name: its file's."""
        return self.path.stem

    @property
    def title(self) -> str:
        """The title of its table."""
        return self.name if self.source is None else self.source.title

    @property
    def table(self) -> int | None:
        """The number of the paper's table that it mirrors."""
        return None if self.source is None else self.source.table

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each row, from 1, by its key."""
        return {row.key: number for number, row in enumerate(self.rows, 1)}

    def where(self, row: Row) -> str:
        """A row's location, for messages."""
        return f'{self.path}, row {self.numbers[row.key]} ("{brief(row.label)}")'

    def where_of(self, column: Column) -> str:
        """A column's location, for messages."""
        return f'{self.path}, [columns], header "{column.header}"'

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
        if name is None:
            do = f"Name one in the row, or in [pretrain] for all. Known: {', '.join(SOURCES)}."
            raise SuiteError(where, f"no recipe is named. {do}")
        recipe = look_up(SOURCES, name, where, "recipe", "Add recipes in caebench/specs/.")
        accepted = parameters(recipe)
        if unknown := row.arguments().keys() - accepted.keys():
            key = sorted(unknown)[0]
            hint = suggest(key, [*accepted, *Row.model_fields])
            raise SuiteError(where, f"recipe '{name}' takes no '{key}'.{hint} It takes: {', '.join(accepted)}.")
        shared = {key: value for key, value in self.pretrain.arguments().items() if key in accepted}
        try:
            config = build(recipe, {**shared, **row.arguments()}, where)
        except SuiteError as mistake:
            raise self._blamed(recipe, row, shared, mistake) from mistake
        if not with_set:
            return config
        own = self.pretrain.set if row.recipe in (None, self.pretrain.recipe) else {}
        return override(override(config, own, f"{self.path}, [pretrain]"), row.set, where)

    def _blamed(self, recipe: Recipe, row: Row, shared: dict[str, Any], mistake: SuiteError) -> SuiteError:
        """A mistake of a row's arguments, with the location of [pretrain] if one that stands there makes it alone."""
        where = f"{self.path}, [pretrain]"
        for given in ({}, *({name: shared[name]} for name in shared if name not in row.arguments())):
            try:
                build(recipe, given, where)
            except SuiteError as other:
                if other.what == mistake.what:
                    return other if given else mistake
        return mistake

    def evaluation(self, row: Row, column: Column) -> Spec:
        """A cell's evaluation config, at paper scale."""
        where = self.where_of(column)
        recipe = look_up(EVALUATIONS, column.eval, where, "evaluation", "Add recipes in caebench/specs/.")
        arguments: dict[str, Any] = {"variant": self.variant(row), **({"data": column.data} if column.data else {})}
        if "pretraining" in parameters(recipe):
            arguments["pretraining"] = self.pretraining(row)
        config = override(build(recipe, arguments, where), column.set, where)
        look_up(dict.fromkeys(config.METRICS), column.metric, where, "metric", "Choose one of them.")
        return config

    def find(self, cell: CellName, where: str) -> tuple[Row, Column]:
        """A cell's row and column.

        Raises:
            SuiteError: they are not in this suite.
        """
        for mistake in self.missing(cell, where):
            raise mistake
        return self.rows[self.numbers[cell.row] - 1], self.columns[cell.column]

    def missing(self, cell: CellName, where: str) -> list[SuiteError]:
        """What of a cell's name is unknown: its row, its column, or both."""
        do = f"A cell is ROW/COLUMN; rows and columns are those of suite '{self.name}'."
        found: list[SuiteError] = []
        for part, name, known in (("row", cell.row, self.numbers), ("column", cell.column, self.columns)):
            try:
                look_up(known, name, where, part, do)
            except SuiteError as mistake:
                found.append(mistake)
        return found
