"""Text in lines of a width: broken between words, else after a `/` or `-`, never inside a number or an id.

Widths are in terminal cells: a wide character has two, a combining mark none.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from rich.cells import cell_len
from rich.text import Text

from caebench.files.visible import visible

SEPARATORS = "/-_.,:;=+"
AROUND = SEPARATORS + "()[]'\"`"
WHOLE = re.compile(r"[0-9a-f]{7,}|[-+]?[\d.,:]+(?:[eE][-+]?\d+)?%?")  # ids, hashes, numbers, times
LONGEST = 16  # cells of a word that a narrow column keeps whole
Span = tuple[int, int]


def as_text(cell: "str | Text") -> Text:
    """A cell as rich prints it: a string is text, never markup."""
    return cell if isinstance(cell, Text) else Text(visible(cell).expandtabs(2))


def fold(text: Text, width: int, hang: int = 0, units: bool = False) -> list[Text]:
    """The text in lines of at most `width`, those that continue one are indented by `hang`.

    `units`: brackets and `a +- b` stay in one line.
    """
    lines: list[Text] = []
    for line in text.split("\n", allow_blank=True) or [Text()]:
        for number, (start, end) in enumerate(_spans(line.plain, width, hang, units)):
            part = line[start:end]
            lines.append(Text(" " * hang).append_text(part) if number and hang else part)
    return lines


@lru_cache(10_000)
def least(text: str, units: bool = False) -> int:
    """The narrowest column that the text fits without breaking a word of usual length, a number or an id."""
    words = (text[start:end] for start, end in _words(text, units))
    pieces = (piece for word in words for piece in ([word] if units else _pieces(word)))
    return max((_least_of(piece, units) for piece in pieces), default=0)


def _least_of(piece: str, units: bool) -> int:
    length = cell_len(piece.strip())
    is_whole = units or WHOLE.fullmatch(piece.strip(AROUND))
    return length if is_whole else min(length, LONGEST)


def _spans(text: str, width: int, hang: int, units: bool) -> Iterator[Span]:
    """Where the lines begin and end."""
    begin, end, room = 0, 0, width
    for start, stop in _words(text, units):
        if begin < end and cell_len(text[begin:stop]) > room:
            yield begin, end
            begin, room = start, width - hang
        if begin == end:
            begin = start if end else 0  # the first line keeps its indent
        end = stop
        for cut in _cuts(text, begin, stop, room, width - hang) if cell_len(text[begin:stop]) > room else ():
            yield begin, cut
            begin, room = cut, width - hang
    yield begin, end


def _cuts(text: str, begin: int, stop: int, room: int, later: int) -> Iterator[int]:
    """Where a word that is longer than a line is cut."""
    end = begin
    for chunk in _chunks(text[begin:stop], later):
        if end > begin and cell_len(text[begin : end + len(chunk)]) > room:
            yield end
            begin, room = end, later
        end += len(chunk)


def _chunks(word: str, width: int) -> Iterator[str]:
    """The pieces of a word; one that is too long and neither an id nor a number in characters."""
    for piece in _pieces(word):
        if cell_len(piece) <= width or WHOLE.fullmatch(piece.strip(AROUND)):
            yield piece
            continue
        start = 0
        while start < len(piece):
            end = _next(piece, start, len(piece))
            yield piece[start:end]
            start = end


def _next(text: str, start: int, stop: int) -> int:
    """The end of a character with the marks on it."""
    end = start + 1
    while end < stop and cell_len(text[end]) == 0:
        end += 1
    return end


def _words(text: str, units: bool) -> Iterator[Span]:
    """Between spaces; with `units` only those outside brackets and not beside a `+-`."""
    start, depth = None, 0
    for place, char in enumerate(text):
        depth += (char in "([") - (char in ")]")
        joined = units and (depth > 0 or "+-" in (text[place - 2 : place], text[place + 1 : place + 3]))
        if char != " " or joined:
            start = place if start is None else start
        elif start is not None:
            yield start, place
            start = None
    if start is not None:
        yield start, len(text)


def _pieces(word: str) -> list[str]:
    """A word cut after each separator that is not in a number, and beside each wide character."""
    pieces, begin = list[str](), 0
    for place in range(1, len(word)):
        before, after = word[place - 1], word[place]
        is_number = place > 1 and after.isdigit() and (word[place - 2].isdigit() or _is_exponent(word, place))
        wide = cell_len(before) == 2 or cell_len(after) == 2
        if cell_len(after) and ((before in SEPARATORS and not is_number and after not in SEPARATORS) or wide):
            pieces.append(word[begin:place])
            begin = place
    return [*pieces, word[begin:]]


def _is_exponent(word: str, place: int) -> bool:
    return place > 2 and word[place - 2] in "eE" and word[place - 3].isdigit()
