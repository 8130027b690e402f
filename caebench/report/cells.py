"""Cells by the words that a table shows, and the cells of a job."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from caebench.planning.graph import make_plan
from caebench.planning.scale import SCALES
from caebench.specs.did_you_mean import suggest
from caebench.specs.identity import differing, full
from caebench.specs.job import Job, Spec
from caebench.suites.claims import CellName
from caebench.suites.loading import every
from caebench.suites.suite import Suite


def split_cell(text: str) -> tuple[str, str]:
    """The suite, and the words for row and column: split at the first slash, or after a file."""
    file, toml, rest = text.partition(".toml/")
    suite, _, row = text.partition("/")
    return (f"{file}.toml", rest) if toml else (suite, row)


def find_cell(suite: Suite, words: str) -> CellName:
    """The cell that is called ROW/COLUMN: the row by id or label, the column by key or header, slashes in them too.

    Raises:
        ValueError: there is none, or there are two.
    """
    named = [
        (f"{row_word}/{column_word}", CellName(None, row.key, key))
        for row in suite.rows
        for row_word in _words(row.id, row.label)
        for key, column in suite.columns.items()
        for column_word in _words(key, column.header)
    ]
    for plain in (str, _plain):
        if found := list(dict.fromkeys(cell for name, cell in named if plain(name) == plain(words))):
            break
    if len(found) == 1:
        return found[0]
    if found:
        known = ", ".join(f"{suite.name}/{cell.row}/{cell.column}" for cell in found)
        raise ValueError(f"'{suite.name}/{words}': {len(found)} cells are called that. Name one by ids: {known}.")
    raise ValueError(_unknown(suite, words, [name for name, _ in named]))


def _words(*words: str | None) -> list[str]:
    return list(dict.fromkeys(word for word in words if word))


def _plain(name: str) -> str:
    return " ".join(name.casefold().split())


def _unknown(suite: Suite, words: str, cells: Sequence[str]) -> str:
    """That there is no such cell: no such column where a row begins it, else no such row."""
    do = f"A cell is SUITE/ROW/COLUMN, in the table's words or by ids. Rows: {_few([row.label for row in suite.rows])}."
    columns = [column.header for column in suite.columns.values()]
    for row in suite.rows:
        for name in _words(row.id, row.label):
            if _plain(words) == _plain(name) or _plain(words).startswith(_plain(name) + "/"):
                column = words[len(name) + 1 :]
                hint = suggest(column, [*suite.columns, *columns])
                what = f"column '{column}' is none of {suite.path}.{hint}" if column else "a cell needs a column, too."
                return f"'{suite.name}/{words}': {what} Columns: {'; '.join(columns)}."
    return (
        f"'{suite.name}/{words}': no cell of {suite.path}.{suggest(words, cells)} {do} Columns: {'; '.join(columns)}."
    )


def _few(names: list[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return "; ".join(names[:most]) + more


class Place(NamedTuple):
    """A cell that a job is for."""

    suite: str
    scale: str
    row: str
    column: str | None  # None: it is the row's pretraining
    changes: tuple[str, ...]  # fields that the suite sets: `field: the recipe's -> its`


def cells_of(job_id: str, seed: int) -> Iterator[Place]:
    """The cells of caebench's suites that a job is for, at any scale: its own, or the row that it pretrains."""
    for suite in every():
        for scale in SCALES.values():
            found: dict[Place, None] = {}
            for cell in make_plan(suite, scale, [seed]).cells:
                for job in cell.jobs:
                    where = suite.name, scale.name, cell.row.label
                    if job.id == job_id:
                        recipe = suite.evaluation(cell.row, cell.column.replace(set={}))
                        found[Place(*where, cell.column.header, _set(scale.apply(recipe), job))] = None
                    elif (encoder := job.inputs.get("encoder")) is not None and encoder.id == job_id:
                        source = suite.default_pretraining(cell.row)
                        found[Place(*where, None, _set(scale.apply(source), encoder))] = None
            yield from found


def _set(default: Spec, job: Job) -> tuple[str, ...]:
    return tuple(differing({**full(default), "seed": None}, {**full(job.config), "seed": None}))
