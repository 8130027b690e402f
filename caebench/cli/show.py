"""Output for people: rich tables on a terminal, the same in plain lines when piped. A string is text, never markup."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text as StyledText

from caebench.files.visible import visible
from caebench.report.render import Text
from caebench.report.statistics import Mark

COLOURS: Mapping[str, str] = {  # of a state
    **dict.fromkeys(("ok", "done", "cached"), "green"),
    **dict.fromkeys(("running", "queued"), "cyan"),
    **dict.fromkeys(("paused", "stopped", "held", "suspended", "cancelled"), "yellow"),
    **dict.fromkeys(("bad", "failed", "damaged", "unknown", "blocked", "lost"), "red"),
}
Cell = str | StyledText


class PlainConsole(Console):
    """A console that prints strings as they are: brackets are no markup, and control characters are shown."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> StyledText:
        """A string, as rich prints it."""
        return super().render_str(visible(text), **options)


def console() -> Console:
    """The console for tables, with enough width when piped."""
    out = PlainConsole()
    return out if out.is_terminal else PlainConsole(width=160)


def print_table(
    title: str, header: Sequence[str], rows: Sequence[Sequence[Cell]], notes: Sequence[str] = (), words: bool = False
) -> None:
    """A table, then its notes; columns after the first are numbers unless they are words."""
    out = console()
    out.print(make_table(title, header, rows, words))
    for note in notes:
        out.print(note, style="dim")


def coloured(state: str) -> StyledText:
    """A state in its colour."""
    return StyledText(state, COLOURS.get(state, ""))


def styled(text: Text) -> Cell:
    """A cell with its look."""
    if not text.mark:
        return text.styled(lambda words, mark: words, "†")
    return StyledText.from_markup(visible(text.styled(_look, "†")), emoji=False)


def _look(words: str, mark: Mark) -> str:
    style = {"best": "bold", "second": "underline", "": ""}[mark]
    return f"[{style}]{escape(words)}[/]" if style else escape(words)


def make_table(title: str, header: Sequence[str], rows: Sequence[Sequence[Cell]], words: bool = False) -> Table:
    """A rich table."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for number, name in enumerate(header):
        table.add_column(name, justify="left" if number == 0 or words else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table
