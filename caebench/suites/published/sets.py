"""Sets of published numbers: CSV files with one number per line, with errors that name the line.

The columns `row_id`, `metric` and `value` are required; an empty value was looked up and not found. `source`,
`confidence`, `mirrors` and `noted_in` are optional: `mirrors` has the paper's row ids that a row re-runs, separated by
`;`, and `noted_in` names the suite that prints a number under its table because no cell has it. Others, such as
`method` or `extra`, are for people.
"""

import csv
import importlib.resources
import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from caebench.files.paths import expand
from caebench.specs.did_you_mean import suggest

NAMES = ("paper", "official", "official-first", "third-party", "related")
REQUIRED = ("row_id", "metric", "value")
DESCRIPTION = ("method", "backbone", "pretrain_epochs", "extra")  # what a note says of a number's row
Key = tuple[str, str]  # row id, metric


class Published(NamedTuple):
    """One published number; `value` is None if it was looked up and not found."""

    value: float | None
    source: str
    confidence: str
    set: str = "paper"  # the name of the set that it comes from


class Aside(NamedTuple):
    """A number that no cell of a table has, and that its suite prints under the table."""

    suite: str
    about: str  # the model
    metric: str
    value: float


@dataclass(frozen=True)
class PublishedSet:
    """A named set of numbers."""

    name: str
    numbers: Mapping[Key, Published]  # by the set's own row ids
    mirrors: Mapping[str, tuple[str, ...]]  # own row id -> the paper's rows that it re-runs
    asides: tuple[Aside, ...] = ()

    @property
    def rows(self) -> list[Key]:
        """Every row and metric that `find` knows."""
        return [*self.numbers, *self._mirrored]

    def find(self, row_id: str, metric: str) -> Published | None:
        """The number of a row of this set, or of the row that re-runs this row of the paper."""
        return self.numbers.get((row_id, metric)) or self._mirrored.get((row_id, metric))

    def notes(self, suite: str) -> list[str]:
        """Notes under a suite's table: one line per model that has no row there."""
        lines: dict[str, list[str]] = {}
        for aside in self.asides:
            if aside.suite == suite:
                lines.setdefault(aside.about, []).append(f"{aside.metric} {aside.value!r}")
        return [f"{self.name} also has: {about}: {', '.join(found)}." for about, found in lines.items()]

    @cached_property
    def _mirrored(self) -> dict[Key, Published]:
        return {
            (theirs, metric): number
            for (own, metric), number in self.numbers.items()
            for theirs in self.mirrors.get(own, ())
        }


class Line(NamedTuple):
    """A line of a file."""

    where: str
    cells: dict[str, str]


def names() -> list[str]:
    """The sets that come with caebench."""
    return list(NAMES)


def parse_sets(text: str) -> list[PublishedSet]:
    """Sets from `paper,official,./my.csv`.

    Raises:
        ValueError: a name or a file is wrong, or two sets have one name.
    """
    sets: list[PublishedSet] = []
    for part in text.split(","):
        found = read_set(part.strip())
        if found.name in (other.name for other in sets):
            raise ValueError(f"published sets '{text}': two are called '{found.name}'. Name each once.")
        sets.append(found)
    return sets


def read_set(name_or_path: str) -> PublishedSet:
    """A set that comes with caebench, or a user's file.

    Raises:
        ValueError: there is no such set or file, or the file is wrong.
    """
    if name_or_path in NAMES:
        return _named(name_or_path)
    if not name_or_path.endswith(".csv") and "/" not in name_or_path:
        raise ValueError(
            f"published set '{name_or_path}': unknown.{suggest(name_or_path, NAMES)} Known: {', '.join(NAMES)}; "
            "or give the path of a .csv file."
        )
    path = expand(Path(name_or_path))
    if not path.is_file():
        raise ValueError(f"{name_or_path}: no such file. Check the path, or give a set: {', '.join(NAMES)}.")
    try:
        text = path.read_text(encoding="utf-8-sig")  # spreadsheets write a byte-order mark
    except UnicodeDecodeError as error:
        raise ValueError(f"{name_or_path}: not UTF-8 text ({error.reason}). Save it as CSV in UTF-8.") from error
    return parse(name_or_path if path.stem in NAMES else path.stem, text, name_or_path)


@cache
def _named(name: str) -> PublishedSet:
    file = importlib.resources.files(__package__ or "") / f"{name}.csv"
    return parse(name, file.read_text(encoding="utf8"), f"published/{name}.csv")


def parse(name: str, text: str, where: str) -> PublishedSet:
    """A set from a file's text.

    Raises:
        ValueError: the file is wrong; the message names the line.
    """
    numbers: dict[Key, Published] = {}
    mirrors: dict[str, tuple[str, ...]] = {}
    asides: list[Aside] = []
    claimed: dict[Key, str] = {}  # which line has a row's metric, its own or a mirrored one
    for line in _lines(text, where):
        row_id, metric = line.cells["row_id"], line.cells["metric"]
        again = tuple(part.strip() for part in line.cells.get("mirrors", "").split(";") if part.strip())
        for row in (row_id, *again):
            _claim(claimed, (row, metric), line.where)
        cells = line.cells
        numbers[row_id, metric] = Published(_value(line), cells.get("source", ""), cells.get("confidence", ""), name)
        mirrors[row_id] = (*mirrors.get(row_id, ()), *(row for row in again if row not in mirrors.get(row_id, ())))
        if (suite := cells.get("noted_in")) and (value := numbers[row_id, metric].value) is not None:
            asides.append(Aside(suite, _describe(cells), metric, value))
    return PublishedSet(name, numbers, mirrors, tuple(asides))


def _describe(cells: Mapping[str, str]) -> str:
    """A line's model in words, or its row id if nothing else is given."""
    method, backbone, epochs, extra = (cells.get(name, "") for name in DESCRIPTION)
    said = ", ".join(filter(None, (method or cells["row_id"], backbone, f"{epochs} epochs" if epochs else "")))
    return f"{said} ({extra})" if extra else said


def _lines(text: str, where: str) -> Iterator[Line]:
    """The lines below the headings, each with its location."""
    rows = _rows(text, where)
    headings = rows[0][1] if rows else []
    missing = [name for name in REQUIRED if name not in headings]
    if missing:
        raise ValueError(
            f"{where}, line 1: no column {', '.join(missing)}. Found: {', '.join(headings) or 'nothing'}. The first "
            f"line names the columns, separated by commas; {', '.join(REQUIRED)} must be among them."
        )
    for place, values in rows[1:]:
        if len(values) > len(headings):
            raise ValueError(
                f"{place}: {len(values)} values for {len(headings)} columns. Put a text with commas in double quotes."
            )
        cells = {name: value.strip() for name, value in zip_longest(headings, values, fillvalue="")}
        for name in ("row_id", "metric"):
            if not cells[name]:
                raise ValueError(f"{place}: column '{name}' is empty. Every number has a row and a metric.")
        yield Line(place, cells)


def _rows(text: str, where: str) -> list[tuple[str, list[str]]]:
    """Each non-empty line with its location."""
    reader = csv.reader(io.StringIO(text), strict=True)
    try:
        return [(f"{where}, line {reader.line_num}", values) for values in reader if values]
    except csv.Error as error:
        raise ValueError(f"{where}, line {reader.line_num}: {error}. Close every double quote.") from error


def _value(line: Line) -> float | None:
    text = line.cells["value"]
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(
            f"{line.where}: column 'value' is '{text}', not a number. Write one such as 64.1, or leave it empty if it "
            "is not known."
        )
    return value


def _claim(claimed: dict[Key, str], key: Key, where: str) -> None:
    if key in claimed:
        row_id, metric = key
        raise ValueError(
            f"{where}: row '{row_id}' has a second '{metric}'; the first is in {claimed[key].rpartition(', ')[2]}. A "
            "row and its mirrors have one number per metric. Delete one, or give the rows different ids."
        )
    claimed[key] = where
