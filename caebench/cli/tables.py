"""Tables that fit a width: columns fold, are left out where that was allowed, or the table is split or transposed.

A table of numbers is split into groups of columns, each with the row labels, or transposed: what takes fewer lines.
Where a program reads them, a table is lines of cells between tabs.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from rich.cells import cell_len
from rich.text import Text

from caebench.cli.folding import as_text, fold, least
from caebench.files.visible import in_one_line

GAP = 2  # cells between two columns
HANG = 2  # cells by which the lines of a label are indented that continue it
EASY = 30  # cells of a column of words that is easy to read
LABEL = 16  # cells that a column of labels gets before a table is split
NUMBER = re.compile(r"-?|[-+~<(]?\d.*|less than .*|not run|quoted")
TRANSPOSED = "The table is turned to fit: a line is what the notes call a column, and a column what they call a row."
Cell = str | Text


class Head(NamedTuple):
    """A column's header; one that `may_go` is left out where the table would not fit."""

    name: str
    may_go: bool = False


Header = Sequence[str | Head]


@dataclass(frozen=True)
class Grid:
    """A table's texts; the first column has labels, those after it are numbers where `numbers`."""

    header: list[Text]
    rows: list[list[Text]]
    numbers: bool

    def column(self, number: int) -> list[Text]:
        """The texts of a column without its header."""
        return [row[number] for row in self.rows]

    def of(self, columns: Sequence[int]) -> "Grid":
        """The table with some of its columns."""
        return replace(
            self, header=[self.header[n] for n in columns], rows=[[row[n] for n in columns] for row in self.rows]
        )

    def turned(self) -> "Grid":
        """Rows as columns."""
        lines = [self.header, *self.rows]
        first, *others = ([line[number] for line in lines] for number in range(len(self.header)))
        return replace(self, header=first, rows=others)


def tab_separated(header: Header, rows: Sequence[Sequence[Cell]]) -> list[str]:
    """The table in lines for programs: a header, then one line a row."""
    names = [name or "row" for name in map(_name, header)]
    return ["\t".join(names), *("\t".join(map(_flat, row)) for row in rows)]


def laid_out(header: Header, rows: Sequence[Sequence[Cell]], width: int, numbers: bool) -> list[Text]:
    """The table in lines of at most `width`."""
    texts = [[as_text(cell) for cell in row] for row in rows]
    grid = Grid([Text(_name(head)) for head in header], texts, numbers)
    kept = list(range(len(header)))
    for number in reversed(kept.copy()):
        head = header[number]
        if isinstance(head, Head) and head.may_go and _natural(grid.of(kept), EASY) > width:
            kept.remove(number)
    grid = grid.of(kept)
    return _fitted_numbers(grid, width) if numbers else _fitted_words(grid, width)


def _name(head: str | Head) -> str:
    return head if isinstance(head, str) else head.name


def _flat(cell: Cell) -> str:
    return in_one_line(as_text(cell).plain).replace("\t", " ")


def _natural(grid: Grid, most: int = 10_000) -> int:
    """The width without folding, of columns of at most `most` cells."""
    return sum(min(most, _longest(texts)) for texts in _columns(grid)) + GAP * (len(grid.header) - 1)


def _columns(grid: Grid) -> list[list[Text]]:
    return [[head, *grid.column(number)] for number, head in enumerate(grid.header)]


def _longest(texts: Sequence[Text]) -> int:
    return max((cell_len(line) for text in texts for line in text.plain.split("\n")), default=0)


def _least(texts: Sequence[Text], units: bool = False) -> int:
    return max((least(line, units) for text in texts for line in text.plain.split("\n")), default=0)


# ---- tables of words ------------------------------------------------------------------------------------------------


def _fitted_words(grid: Grid, width: int) -> list[Text]:
    """Folded to fit; if it cannot, in groups of columns that repeat the first."""
    columns = _columns(grid)
    floors = [_least(texts) for texts in columns]
    floors[0] = min(floors[0] + HANG, _longest(columns[0]))
    lines: list[Text] = []
    for group in _groups(floors, width):
        lines += [Text()] if lines else []
        lines += _drawn(
            grid.of(group), _shrunk([_longest(columns[n]) for n in group], [floors[n] for n in group], width)
        )
    return lines


def _groups(widths: Sequence[int], width: int) -> list[list[int]]:
    """Columns that fit together, each group with the first column."""
    groups = [[0]]
    for number in range(1, len(widths)):
        if len(groups[-1]) > 1 and sum(widths[n] + GAP for n in (*groups[-1], number)) - GAP > width:
            groups.append([0])
        groups[-1].append(number)
    return groups


def _shrunk(widths: list[int], floors: Sequence[int], width: int) -> list[int]:
    """Widths that fit: the widest column gives a cell, again and again, none below its floor while others can."""
    room = width - GAP * (len(widths) - 1)
    for least_width in (floors, [LABEL // 2] * len(widths)):
        while sum(widths) > room:
            wide = [n for n, each in enumerate(widths) if each > least_width[n]]
            if not wide:
                break
            widths[max(wide, key=lambda n: widths[n])] -= 1
    return widths


# ---- tables of numbers ----------------------------------------------------------------------------------------------


def _fitted_numbers(grid: Grid, width: int) -> list[Text]:
    """In one piece if it fits; else in groups of columns or transposed, whichever takes the fewest lines."""
    if _natural(grid) <= width:
        return _drawn(grid, [_longest(texts) for texts in _columns(grid)])
    ways = [(stacked, most) for stacked in (False, True) for most in (width, LABEL)]
    choices = [_in_groups(grid, width, *way) for way in ways]
    if len(grid.rows) > 1:
        note = fold(Text(TRANSPOSED, "dim"), width)
        choices += [[*_in_groups(grid.turned(), width, *way), *note] for way in ways]
    return min(choices, key=len)


def _in_groups(grid: Grid, width: int, stacked: bool, most: int) -> list[Text]:
    """Groups of columns that fit, with folded headers and labels; `stacked`: a cell's brackets below its number."""
    widths = [
        max(_least([head]), _least(cells, True) if stacked else _longest(cells)) for head, *cells in _columns(grid)
    ]
    label = [grid.header[0], *grid.column(0)]
    longest, narrowest = _longest(label), min(_longest(label), _least(label) + HANG)
    widths[0] = min(longest, max(most, narrowest))
    lines: list[Text] = []
    for group in _groups(widths, width):
        chosen = [widths[n] for n in group]
        chosen[0] = min(longest, max(narrowest, width - sum(chosen[1:]) - GAP * (len(chosen) - 1)))
        lines += [Text()] if lines else []
        lines += _drawn(grid.of(group), _shrunk(chosen, [narrowest, *chosen[1:]], width))
    return lines


# ---- lines ----------------------------------------------------------------------------------------------------------


def _drawn(grid: Grid, widths: Sequence[int]) -> list[Text]:
    """Header, rule and rows, each column in its width."""
    right = [number > 0 and _is_right(grid, number) for number, _ in enumerate(widths)]
    head = [Text.styled(text.plain, "bold") for text in grid.header]
    rule = Text("  ".join("─" * width for width in widths), "dim")
    lines = [*_lines(head, widths, right, False)] if any(text.plain for text in head) else []
    lines += [rule]
    for row in grid.rows:
        lines += _lines(row, widths, right, grid.numbers)
    return lines


def _is_right(grid: Grid, number: int) -> bool:
    cells = [text.plain for text in grid.column(number)]
    return grid.numbers or (any(cells) and all(NUMBER.fullmatch(cell) and len(cell) <= LABEL for cell in cells))


def _lines(row: Sequence[Text], widths: Sequence[int], right: Sequence[bool], units: bool) -> Iterator[Text]:
    folded = [
        fold(text, width, HANG if number == 0 and width > 2 * HANG else 0, units and number > 0)
        for number, (text, width) in enumerate(zip(row, widths, strict=True))
    ]
    for place in range(max(map(len, folded), default=0)):
        line = Text()
        for number, (parts, width) in enumerate(zip(folded, widths, strict=True)):
            part = parts[place] if place < len(parts) else Text()
            blank = Text(" " * max(0, width - cell_len(part.plain)))
            line.append_text(Text(" " * (GAP if number else 0)))
            for piece in (blank, part) if right[number] else (part, blank):
                line.append_text(piece)
        line.rstrip()
        yield line
