"""Claims of a suite: statements of the paper as inequalities between cells (ADR 13)."""

import re
from typing import Annotated, Any, NamedTuple, Self, cast

from pydantic import BeforeValidator, Field, NonNegativeFloat, field_validator, model_validator

from caebench.specs.base import Config, is_table

CELL = re.compile(r"(?:(?P<suite>[\w-]+):(?! ))?(?P<row>.+)/(?P<column>[^/]+)", re.DOTALL)
RENAMED = {  # fields of claims: the old name and the new one
    "says": "statement",
    "place": "section",
    "more": "higher",
    "than": "lower",
    "than_each": "lower_each",
    "by": "margin",
    "within": "tolerance",
}


class CellName(NamedTuple):
    """A cell as a claim names it."""

    suite: str | None  # None: the claim's own
    row: str
    column: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `ROW/COLUMN` or `SUITE:ROW/COLUMN`.

        Ids and labels may contain slashes and colons: the last slash separates the column, and a colon before a space
        belongs to a label.

        Raises:
            ValueError: there is no slash, or one side of it is empty.
        """
        found = CELL.fullmatch(text)
        if found is None:
            raise ValueError(f"'{text}' is not a cell. Write ROW/COLUMN, or SUITE:ROW/COLUMN for another suite's.")
        return cls(found["suite"], found["row"], found["column"])


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Cells = Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1)]


class ClaimPart(Config):
    """Two sums of cells: `higher` exceeds `lower` by more than `margin`, or they differ by at most `tolerance`."""

    higher: Cells
    """The cell that is higher, as ROW/COLUMN or SUITE:ROW/COLUMN; several are summed."""
    lower: Cells
    """The cell that is lower; several are summed."""
    margin: float = 0.0
    """`higher` exceeds `lower` by more than this, in the columns' unit."""
    tolerance: NonNegativeFloat | None = None
    """They differ by at most this, in the columns' unit; excludes `margin`."""

    @model_validator(mode="after")
    def _ask_one_thing(self) -> Self:
        if self.tolerance is not None and "margin" in self.model_fields_set:
            raise ValueError("'margin' and 'tolerance' exclude each other. Give one of them, or write two parts")
        return self


class Claim(Config):
    """A statement of the paper, and the comparisons of cells that it implies. It holds if all its parts do."""

    statement: str
    """What the paper says, in a sentence."""
    section: str
    """Where it says so, as `Sec. 5.3`."""
    parts: tuple[ClaimPart, ...] = Field(min_length=1)
    """The comparisons that it implies: it holds if all of them do."""

    @field_validator("parts", mode="before")
    @classmethod
    def _spread(cls, parts: Any) -> Any:
        """`lower_each` names several cells that `higher` is compared with one by one: one part per cell."""
        if not isinstance(parts, list):
            return parts
        return [each for part in cast(list[Any], parts) for each in _parts(part)]

    @property
    def cells(self) -> list[str]:
        """Every cell that it names, once."""
        return list(dict.fromkeys(cell for part in self.parts for cell in (*part.higher, *part.lower)))


def _parts(part: Any) -> list[Any]:
    if not (is_table(part) and isinstance(each := part.get("lower_each"), list)):
        return [part]
    rest = {name: value for name, value in part.items() if name != "lower_each"}
    return [{**rest, "lower": cell} for cell in cast(list[Any], each)]
