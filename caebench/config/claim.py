"""Claims of a suite: sentences of the paper as inequalities between cells (ADR 13)."""

import re
from typing import Annotated, Any, NamedTuple, Self, cast

from pydantic import BeforeValidator, Field, NonNegativeFloat, field_validator, model_validator

from caebench.config.base import Config, is_table

CELL = re.compile(r"(?:(?P<suite>[\w-]+):(?! ))?(?P<row>.+)/(?P<column>[^/]+)")


class CellName(NamedTuple):
    """A cell as a claim names it."""

    suite: str | None  # None: the claim's own
    row: str
    column: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `ROW/COLUMN` or `SUITE:ROW/COLUMN`.

        Ids and labels hold odd characters: the last slash divides, and a colon before a space belongs to a label.

        Raises:
            ValueError: there is no slash, or nothing on a side of it.
        """
        found = CELL.fullmatch(text)
        if found is None:
            raise ValueError(f"'{text}' names no cell. Write ROW/COLUMN, or SUITE:ROW/COLUMN for another suite's.")
        return cls(found["suite"], found["row"], found["column"])


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Cells = Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1)]


class ClaimPart(Config):
    """Two sums of cells: `more` exceeds `than` by more than `by`, or they differ by at most `within`."""

    more: Cells
    than: Cells
    by: float = 0.0  # in the columns' unit, as is `within`
    within: NonNegativeFloat | None = None

    @model_validator(mode="after")
    def _ask_one_thing(self) -> Self:
        if self.within is not None and "by" in self.model_fields_set:
            raise ValueError("'by' and 'within' ask two things. Give one of them; two parts can ask both")
        return self


class Claim(Config):
    """A sentence of the paper, and what it says of cells. It holds if all its parts do."""

    says: str
    place: str  # in the paper, as `Sec. 5.3`
    parts: tuple[ClaimPart, ...] = Field(min_length=1)

    @field_validator("parts", mode="before")
    @classmethod
    def _spread(cls, parts: Any) -> Any:
        """`than_each` names several cells that `more` is compared with in turn: a part each."""
        if not isinstance(parts, list):
            return parts
        return [each for part in cast(list[Any], parts) for each in _parts(part)]

    @property
    def cells(self) -> list[str]:
        """Every cell that it names, once."""
        return list(dict.fromkeys(cell for part in self.parts for cell in (*part.more, *part.than)))


def _parts(part: Any) -> list[Any]:
    if not (is_table(part) and isinstance(each := part.get("than_each"), list)):
        return [part]
    rest = {name: value for name, value in part.items() if name != "than_each"}
    return [{**rest, "than": cell} for cell in cast(list[Any], each)]
