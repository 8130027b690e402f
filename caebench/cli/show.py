"""Output: tables laid out on a terminal, cells between tabs when piped; a run's progress. A string is never markup."""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text as StyledText

from caebench.cli.folding import as_text, fold
from caebench.cli.options import say
from caebench.cli.tables import Cell, Header, laid_out, tab_separated
from caebench.files.visible import in_one_line, visible
from caebench.report.render import Text
from caebench.report.statistics import Mark
from caebench.specs.job import Job

if TYPE_CHECKING:
    from caebench.execution.local import Outcome, Watcher

PIPED = 100_000  # cells of a line that no terminal shows
LEAST = 20  # cells of the narrowest page
PLAIN_EVERY = 10.0  # seconds between two lines of one job's progress without a terminal
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


class JobDisplay:
    """Shows a run: on a terminal one bar per running job and one for all, otherwise lines."""

    def __init__(self, num_jobs: int) -> None:
        self.num_jobs, self.num_ended = num_jobs, 0
        self.live = sys.stderr.isatty()
        self.console = PlainConsole(stderr=True)
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[shown]}"),
        )
        self.progress = Progress(*columns, TimeElapsedColumn(), console=self.console, disable=not self.live)
        self.bars: dict[str, TaskID] = {}
        self.last_line: dict[str, float] = {}
        self.began: dict[str, float] = {}
        self.all = self.progress.add_task("jobs", total=num_jobs, shown="")

    def __enter__(self) -> "Watcher":
        from caebench.execution.local import Watcher

        self.progress.start()
        return Watcher(self.started, self.progressed, self.elsewhere, self.ended)

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def started(self, job: Job) -> None:
        """A job starts."""
        self.began[job.id] = self.last_line[job.id] = time.monotonic()
        self.bars[job.id] = self.progress.add_task(visible(job.name), total=None, shown="")
        self.say(f"start   {job.name}")

    def progressed(self, job: Job, done: int, total: int, shown: Mapping[str, float]) -> None:
        """A job reports its progress."""
        text = f"loss {shown['loss']:.3f}" if "loss" in shown else ""
        self.progress.update(self.bars[job.id], completed=done, total=total, shown=text)
        if time.monotonic() - self.last_line[job.id] > PLAIN_EVERY:
            self.last_line[job.id] = time.monotonic()
            self.say(f"        {job.name} {done}/{total} {text}")

    def elsewhere(self, job: Job, by_whom: str) -> None:
        """Another process runs a job: this run waits for it."""
        if job.id in self.bars:
            self.progress.remove_task(self.bars.pop(job.id))
        self.began.pop(job.id, None)
        self.console.print(f"waits   {job.name}: {by_whom}", soft_wrap=True)

    def ended(self, job: Job, outcome: "Outcome", reason: str) -> None:
        """A job has ended; a reason is also shown on a terminal."""
        self.num_ended += 1
        self.progress.update(self.all, completed=self.num_ended)
        if job.id in self.bars:
            self.progress.remove_task(self.bars[job.id])
        took = f" in {time.monotonic() - self.began[job.id]:.0f} s" if job.id in self.began else ""
        line = f"{outcome:7} {job.name}{took}" + (f": {in_one_line(reason)}" if reason else "")
        if outcome != "cached":
            self.console.print(line, style="red" if reason else None, soft_wrap=True)

    def say(self, line: str) -> None:
        """Print a plain line if there is no terminal."""
        if not self.live:
            self.console.print(line, soft_wrap=True)
