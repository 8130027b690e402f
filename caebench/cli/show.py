"""Output for people: rich tables on a terminal, the same in plain lines when piped. A string is text, never markup."""

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text as StyledText

from caebench.execution.local import Outcome, Watcher
from caebench.files.visible import in_one_line, visible
from caebench.report.render import Text
from caebench.report.statistics import Mark
from caebench.specs.job import Job

PLAIN_EVERY = 10.0  # seconds between two lines of one job's progress without a terminal
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

    def __enter__(self) -> Watcher:
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

    def ended(self, job: Job, outcome: Outcome, reason: str) -> None:
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
