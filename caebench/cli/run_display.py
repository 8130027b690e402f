"""What a run shows while it runs: on a terminal a line per running job and a bar for all, otherwise plain lines."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column

from caebench.cli.running import Outlook
from caebench.cli.show import COLOURS, PlainConsole
from caebench.execution.local import Outcome, Watcher
from caebench.files.layout import FAILURE
from caebench.files.visible import in_one_line, visible
from caebench.planning.duration import show_time
from caebench.report.duration import makespan
from caebench.specs.job import Job

if TYPE_CHECKING:
    from caebench.store.store import Store

PLAIN_EVERY = 10.0  # seconds between two lines of one job's progress without a terminal
EARLY = 2.0  # seconds in which a job's own pace says nothing of when it ends
TOLD_EVERY = 1.0  # seconds between two estimates of when the run ends
WIDE = 100  # characters from which a line also shows the loss


class RunDisplay:
    """Shows the jobs of a run."""

    def __init__(self, store: "Store", ahead: Outlook) -> None:
        self.jobs = {job.id: job for job in ahead.jobs}
        self.store, self.ahead, self.durations = store, ahead, ahead.durations
        self.live = sys.stderr.isatty()
        self.console = PlainConsole(stderr=True)
        self.progress = Progress(
            *_columns(self.console.width), console=self.console, disable=not self.live, expand=True, transient=True
        )
        self.bars: dict[str, TaskID] = {}
        self.last_line: dict[str, float] = {}
        self.began: dict[str, float] = {}  # of the running ones
        self.share: dict[str, float] = {}  # of each of these that is done
        self.is_stopping = False
        self.told = (-TOLD_EVERY, "")  # when the end was last estimated, and in words
        self.closed: set[str] = set()  # those that have ended
        self.num_ended = 0  # of these, without those that a stop has ended
        self.all = self.progress.add_task(
            "", total=len(self.jobs), id="all jobs", text="", shown="", left="", count=_count(0, len(self.jobs))
        )

    def __enter__(self) -> Watcher:
        self.progress.start()
        return Watcher(self.started, self.progressed, self.elsewhere, self.ended, self.stopping)

    def __exit__(self, *_: object) -> None:
        for bar in self.bars.values():
            self.progress.remove_task(bar)
        self.progress.stop()

    def started(self, job: Job) -> None:
        """A job starts."""
        self.began[job.id] = self.last_line[job.id] = time.monotonic()
        text = visible(job.name.removesuffix(f"-{job.id}"))
        self.bars[job.id] = self.progress.add_task("", total=None, id=job.id, text=text, shown="", left="", count="")
        self._say(f"start   {job.name}")

    def progressed(self, job: Job, done: int, total: int, shown: Mapping[str, float]) -> None:
        """A job reports its progress."""
        self.share[job.id] = done / total if total else 0.0
        loss = f"loss {shown['loss']:.3f}" if "loss" in shown else ""
        left = self._left(job)
        words = "" if left is None else show_time(left)
        count = _count(done, total)
        self.progress.update(self.bars[job.id], completed=done, total=total, shown=loss, left=words, count=count)
        self._tell_all()
        if time.monotonic() - self.last_line[job.id] > PLAIN_EVERY:
            self.last_line[job.id] = time.monotonic()
            more = [loss] * bool(loss) + [f"about {words} left"] * bool(words)
            self._say(f"        {job.name} {done}/{total} {', '.join(more)}".rstrip())

    def elsewhere(self, job: Job, by_whom: str) -> None:
        """Another process runs a job: this run waits for it."""
        self._forget(job)
        self.console.print(f"waits   {job.name}: {by_whom}", soft_wrap=True)

    def ended(self, job: Job, outcome: Outcome, reason: str) -> None:
        """A job has ended; a reason is also shown on a terminal."""
        took = self._forget(job)
        if job.id not in self.jobs:
            return
        self.closed.add(job.id)
        if outcome == "done" and took is not None:
            self.durations.learn(job, took)
        is_open = outcome == "stopped" or (outcome == "blocked" and self.is_stopping)
        self.num_ended += not is_open
        self.progress.update(self.all, completed=self.num_ended, count=_count(self.num_ended, len(self.jobs)))
        self._tell_all(now=True)
        if not is_open and outcome != "cached":
            self.console.print(self._line(job, outcome, took, reason), style=COLOURS.get(outcome), soft_wrap=True)

    def stopping(self, num_running: int) -> None:
        """A signal asked for a stop."""
        self.is_stopping = True
        self.progress.stop()  # what the workers say now stays readable
        jobs = "1 job saves" if num_running == 1 else f"{num_running} jobs save"
        self.console.print(f"stopping: {jobs} and ends. Ctrl-C again kills at once, and loses what is not saved.")

    def _line(self, job: Job, outcome: Outcome, took: float | None, reason: str) -> str:
        words = f"{outcome:7} {job.name}" + (f" in {show_time(took)}" if took is not None else "")
        words += f": {in_one_line(reason)}" if reason else ""
        if outcome == "failed" and (path := self.store.folder(job) / FAILURE).exists():
            words += f" (log: {_short(path)})"
        of = f"{self.num_ended} of {len(self.jobs)}" + (f", about {self.told[1]} left" if self.told[1] else "")
        return words if self.live or outcome != "done" else f"{words} ({of})"

    def _forget(self, job: Job) -> float | None:
        """Take away the line of a job that runs here no more; returns how long it did."""
        if job.id in self.bars:
            self.progress.remove_task(self.bars.pop(job.id))
        self.share.pop(job.id, None)
        began = self.began.pop(job.id, None)
        return None if began is None else time.monotonic() - began

    def _left(self, job: Job) -> float | None:
        """Seconds until a running job ends: by its own pace, or before it has one by those of others."""
        elapsed, share = time.monotonic() - self.began[job.id], self.share.get(job.id, 0.0)
        if share > 0 and elapsed > EARLY:
            return elapsed * (1 - share) / share
        known = self.durations.seconds(job)
        return None if known is None else max(0.0, known - elapsed)

    def _tell_all(self, now: bool = False) -> None:
        """Show when the run ends, if that can be told of every job."""
        if not now and time.monotonic() - self.told[0] < TOLD_EVERY:
            return
        begun, waiting = time.monotonic(), [job for job in self.jobs.values() if job.id not in self.closed]
        left = {job.id: self._left(job) if job.id in self.began else self.durations.seconds(job) for job in waiting}
        known = {key: seconds for key, seconds in left.items() if seconds is not None}
        words = ""
        if waiting and len(known) == len(left):
            words = show_time(makespan(waiting, self.ahead.passes, known, self.ahead.num_parallel))
        self.told = (time.monotonic() + 20 * (time.monotonic() - begun), words)
        self.progress.update(self.all, left=words)

    def _say(self, line: str) -> None:
        """Print a plain line if there is no terminal."""
        if not self.live:
            self.console.print(line, soft_wrap=True)


class LineProgress:
    """Shows the progress of a job that runs in this process: a line now and then."""

    def __init__(self, name: str) -> None:
        self.name, self.began = name, time.monotonic()
        self.last_line = self.began

    def __call__(self, done: int, total: int, shown: Mapping[str, float]) -> None:
        """Print a line, if the last one was some time ago."""
        now = time.monotonic()
        if now - self.last_line > PLAIN_EVERY:
            self.last_line = now
            left = f", about {show_time((now - self.began) * (total - done) / done)} left" if done else ""
            loss = f" loss {shown['loss']:.3f}" if "loss" in shown else ""
            PlainConsole(stderr=True).print(f"{self.name} {done}/{total}{loss}{left}", soft_wrap=True)


def _columns(width: int) -> list[TextColumn | BarColumn]:
    """An id, what it is, a bar, how many of how many, when it ends."""
    name = Column(ratio=1, no_wrap=True, overflow="ellipsis")
    columns: list[TextColumn | BarColumn] = [
        TextColumn("{task.fields[id]}", markup=False, table_column=Column(width=10, no_wrap=True)),
        TextColumn("{task.fields[text]}", markup=False, table_column=name),
        BarColumn(12),
        TextColumn("{task.fields[count]}", table_column=Column(no_wrap=True, justify="right")),
        TextColumn("{task.fields[left]}", markup=False, table_column=Column(no_wrap=True, justify="right")),
    ]
    return columns if width < WIDE else [*columns[:4], TextColumn("{task.fields[shown]}", markup=False), columns[4]]


def _count(done: int, total: int) -> str:
    return f"{done}/{total}"


def _short(path: Path) -> Path:
    """A path as seen from the working folder, where it is below it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_absolute() and path.is_relative_to(here) else path
