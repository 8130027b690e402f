"""Output for people: rich tables on a terminal, the same in plain lines when piped."""

import sys
import time
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from caebench.execution.local import Outcome, Watcher
from caebench.files.visible import LAYOUT, visible
from caebench.report.render import Text
from caebench.report.statistics import Mark
from caebench.specs.job import Job

PLAIN_EVERY = 10.0  # seconds between two lines of one job's progress without a terminal
MARKS: Mapping[str, str] = {
    "done": "[green]done[/]",
    "cached": "[green]cached[/]",
    "running": "[cyan]running[/]",
    "paused": "[yellow]paused[/]",
    "todo": "todo",
    "failed": "[red]failed[/]",
    "damaged": "[red]damaged[/]",
    "blocked": "[red]blocked[/]",
    "stopped": "[yellow]stopped[/]",
    "queued": "[cyan]queued[/]",
    "held": "[yellow]held[/]",
    "suspended": "[yellow]suspended[/]",
    "cancelled": "[yellow]cancelled[/]",
    "lost": "[red]lost[/]",
}


def console() -> Console:
    """The console for tables, with enough width when piped."""
    out = Console()
    return out if out.is_terminal else Console(width=160)


def print_table(
    title: str, header: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str] = (), words: bool = False
) -> None:
    """A table, then its notes; columns after the first are numbers unless they are words."""
    out = console()
    out.print(make_table(title, header, rows, words))
    for note in notes:
        out.print(note, style="dim", highlight=False, markup=False)


def styled(text: Text) -> str:
    """A cell in rich's markup."""
    return text.styled(_look, "†")


def _look(words: str, mark: Mark) -> str:
    style = {"best": "bold", "second": "underline", "": ""}[mark]
    return f"[{style}]{escape(words)}[/]" if style else escape(words)


def make_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], words: bool = False) -> Table:
    """A rich table."""
    table = Table(title=visible(title, keep=LAYOUT), title_justify="left", title_style="bold")
    for number, name in enumerate(header):
        table.add_column(name, justify="left" if number == 0 or words else "right", overflow="fold")
    for row in rows:
        table.add_row(*(visible(cell, keep=LAYOUT) for cell in row))
    return table


class JobDisplay:
    """Shows a run: on a terminal one bar per running job and one for all, otherwise lines."""

    def __init__(self, num_jobs: int) -> None:
        self.num_jobs, self.num_ended = num_jobs, 0
        self.live = sys.stderr.isatty()
        self.console = Console(stderr=True)
        columns = (
            TextColumn("{task.description}"),
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
        self.bars[job.id] = self.progress.add_task(job.name, total=None, shown="")
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
        self.console.print(f"waits   {job.name}: {by_whom}", highlight=False, markup=False, soft_wrap=True)

    def ended(self, job: Job, outcome: Outcome, reason: str) -> None:
        """A job has ended; a reason is also shown on a terminal."""
        self.num_ended += 1
        self.progress.update(self.all, completed=self.num_ended)
        if job.id in self.bars:
            self.progress.remove_task(self.bars[job.id])
        took = f" in {time.monotonic() - self.began[job.id]:.0f} s" if job.id in self.began else ""
        line = f"{outcome:7} {job.name}{took}" + (f": {reason}" if reason else "")
        if outcome != "cached":
            self.console.print(line, highlight=False, markup=False, style="red" if reason else None, soft_wrap=True)

    def say(self, line: str) -> None:
        """Print a plain line if there is no terminal."""
        if not self.live:
            self.console.print(line, highlight=False, markup=False, soft_wrap=True)
