"""Output: tables laid out on a terminal, cells between tabs when piped. A string is text, never markup."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.text import Text as StyledText

from caebench.cli.folding import as_text, fold
from caebench.cli.options import say
from caebench.cli.tables import Cell, Header, laid_out, tab_separated
from caebench.files.visible import in_one_line, visible
from caebench.report.render import Text
from caebench.report.statistics import Mark

PIPED = 100_000  # cells of a line that no terminal shows
LEAST = 20  # cells of the narrowest page
COLOURS: Mapping[str, str] = {  # of a state
    **dict.fromkeys(("ok", "done", "cached"), "green"),
    **dict.fromkeys(("running", "queued"), "cyan"),
    **dict.fromkeys(("paused", "stopped", "held", "suspended", "cancelled"), "yellow"),
    **dict.fromkeys(("bad", "failed", "damaged", "unknown", "blocked", "lost"), "red"),
}


class PlainConsole(Console):
    """A console that prints strings as they are: brackets are no markup, and control characters are shown."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> StyledText:
        """A string, as rich prints it."""
        return super().render_str(visible(text), **options)


def console() -> Console:
    """The console for text; lines that are piped are never wrapped."""
    out = PlainConsole()
    return out if out.is_terminal else PlainConsole(width=PIPED)


def page() -> Console | None:
    """The console for what is laid out in its width; None: a program reads the output."""
    out = PlainConsole()
    return out if out.is_terminal else None


def is_piped() -> bool:
    """Whether a program reads the output."""
    return page() is None


def page_anyway() -> Console:
    """The console for what is laid out though it is piped: COLUMNS wide, or 80."""
    columns = os.environ.get("COLUMNS", "")
    return page() or PlainConsole(width=int(columns) if columns.isdigit() and int(columns) else 80)


def print_table(
    title: str,
    header: Header,
    rows: Sequence[Sequence[Cell]],
    notes: Sequence[str] = (),
    words: bool = True,
    on: Console | None = None,
) -> None:
    """A table, then its notes, in the width of the terminal; without `words` all columns but the first are numbers.

    Piped, the table is lines of cells between tabs, and title and notes are behind a `#` after an empty line.
    """
    out = on or page()
    if out is None:
        print_piped(title, header, rows, notes)
        return
    width = max(out.width, LEAST)
    lines = [*fold(StyledText(visible(title), "bold"), width), *laid_out(header, rows, width, not words)]
    for line in [*lines, *folded(notes, width)]:
        print_line(out, line)


def print_piped(title: str, header: Header, rows: Sequence[Sequence[Cell]], notes: Sequence[str] = ()) -> None:
    """A table in lines of cells between tabs; title and notes after an empty line, each behind a `#`."""
    comments = (f"# {in_one_line(line)}" for line in (title, *notes))
    say("\n".join([*tab_separated(header, rows), "", *comments]))


def print_lines(lines: Sequence[str]) -> None:
    """Lines of text: folded on a terminal, as they are where they are piped."""
    out = page()
    if out is None:
        say("\n".join(lines))
        return
    for line in lines:
        for part in fold(as_text(line), max(out.width, LEAST)):
            print_line(out, part)


def print_note(text: str) -> None:
    """A line for people: folded on a terminal, behind a `#` where a program reads the output."""
    if is_piped():
        say(f"# {in_one_line(text)}")
    else:
        print_lines([text])


def print_line(out: Console, line: StyledText) -> None:
    """A line that is folded already."""
    out.print(line, no_wrap=True, overflow="ignore", crop=False)


def folded(notes: Sequence[str], width: int) -> list[StyledText]:
    """Notes in lines."""
    return [line for note in notes for line in fold(StyledText(visible(note), "dim"), width)]


def coloured(state: str) -> StyledText:
    """A state in its colour."""
    return StyledText(state, COLOURS.get(state, ""))


def styled(text: Text) -> Cell:
    """A cell with its look."""
    if not text.mark:
        return text.plain()
    return StyledText.from_markup(visible(text.styled(_look)), emoji=False)


def _look(words: str, mark: Mark) -> str:
    style = {"best": "bold", "second": "underline", "": ""}[mark]
    return f"[{style}]{escape(words)}[/]" if style else escape(words)
