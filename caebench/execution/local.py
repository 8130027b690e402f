"""Run a plan on this machine: inputs first, several jobs at once in worker processes, each with its own threads and,
if there are GPUs, one of them.

A failed job blocks only its dependents; a job that another process runs is waited for. Ctrl-C and SIGTERM make running
jobs save and stop; the next run resumes them. A second Ctrl-C kills them at once.
"""

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from caebench.execution.pool import Allocation, Message, Pool
from caebench.files.atomic import server_time
from caebench.files.layout import FAILURE, LEASE
from caebench.planning.passes import find_passes
from caebench.specs.job import Job
from caebench.specs.site import Site
from caebench.store.judging import judge
from caebench.store.state import failure_of
from caebench.store.store import Store

Outcome = Literal["done", "cached", "failed", "blocked", "stopped"]
STOPPED = "the run was stopped"  # why a job was not started
LOOK_EVERY = 5.0  # seconds between two looks at what another process runs


@dataclass
class Watcher:
    """Callbacks for showing a run."""

    started: Callable[[Job], None]
    progressed: Callable[[Job, int, int, Mapping[str, float]], None]
    elsewhere: Callable[[Job, str], None]  # another process runs it: this run waits for it
    ended: Callable[[Job, Outcome, str], None]
    stopping: Callable[[int], None] = lambda _: None  # a signal asked for a stop; how many jobs run


@dataclass
class Outcomes:
    """The outcome of every job of a plan, by id."""

    by_id: dict[str, Outcome] = field(default_factory=dict[str, Outcome])
    stopped_by: str | None = None  # the signal that stopped the run

    def count(self, *kinds: Outcome) -> int:
        """Jobs with one of these outcomes."""
        return sum(outcome in kinds for outcome in self.by_id.values())


def run_plan(
    jobs: Sequence[Job],
    store: Store,
    site: Site,
    watcher: Watcher,
    num_parallel: int,
    separate: bool = False,
    allocation: Allocation | None = None,
) -> Outcomes:
    """Run the jobs that are not done and their dependents, at most `num_parallel` at once. `jobs` lists inputs first.

    Probes share passes of their encoder where possible, unless `separate`.
    """
    outcomes = Outcomes()
    store.mend(jobs)
    waiting = {job.id: job for job in store.to_run(jobs)}
    for job in jobs:
        if job.id in waiting:
            store.prepare(job)
        else:
            _end(outcomes, watcher, job, "cached")
    if jobs_to_do := list(waiting.values()):
        cores = allocation.num_cores if allocation else os.cpu_count() or 1
        threads = max(1, cores // num_parallel)  # also if fewer jobs run: the number can change a last digit
        with Pool(min(num_parallel, len(jobs_to_do)), threads, store, site, allocation) as pool:
            execution = _Execution(pool, watcher, outcomes, waiting, {} if separate else find_passes(jobs_to_do))
            execution.finish()
            outcomes.stopped_by = pool.stopped_by
    return outcomes


@dataclass
class _Execution:
    """The jobs of a plan that are not done yet."""

    pool: Pool
    watcher: Watcher
    outcomes: Outcomes
    waiting: dict[str, Job]  # by id, inputs first
    passes: Mapping[str, Sequence[Job]]
    running: dict[str, Job] = field(default_factory=dict[str, Job])
    elsewhere: dict[str, Job] = field(default_factory=dict[str, Job])
    looked: float = -math.inf  # when at those that run elsewhere
    told: bool = False  # that the run stops

    def finish(self) -> None:
        """Run them all, or as far as a stop lets it."""
        self._start_ready()
        while self.waiting or self.running or self.elsewhere:
            self._tell_of_a_stop()
            if self.pool.stopping and not self.running:
                self._end_rest()
                return
            before = self._counts()
            for message in self.pool.messages():
                self._hear(message)
            if self.elsewhere and time.monotonic() - self.looked > LOOK_EVERY:
                self._look_elsewhere()
            if self._counts() != before:
                self._start_ready()

    def _tell_of_a_stop(self) -> None:
        if self.pool.stopping and not self.told:
            self.told = True
            self.watcher.stopping(len(self.running))

    def _counts(self) -> tuple[int, ...]:
        """What changes where another job can perhaps start."""
        return len(self.waiting), len(self.running), len(self.elsewhere)

    def _start_ready(self) -> None:
        for job in list(self.waiting.values()):
            if job.id not in self.waiting:
                continue  # it was started with its pass
            parents = {self.outcomes.by_id.get(parent.id) for parent in job.parents}
            if parents & {"failed", "blocked", "stopped"}:
                del self.waiting[job.id]
                _end(self.outcomes, self.watcher, job, "blocked", _blocking(job, self.outcomes))
            elif parents <= {"done", "cached"} and self.pool.has_room and not self.pool.stopping:
                self._start([one for one in self.passes.get(job.id, (job,)) if one.id in self.waiting])

    def _start(self, group: Sequence[Job]) -> None:
        """Start a job, or those of a pass: they have the same parents, so all are ready."""
        self.pool.submit(group)
        for job in group:
            self.running[job.id] = self.waiting.pop(job.id)
            self.watcher.started(job)

    def _hear(self, message: Message) -> None:
        if message.kind == "progress":
            self.watcher.progressed(self.running[message.job_id], *message.details)
            return
        job = self.running.pop(message.job_id)
        if message.kind == "elsewhere":
            self.elsewhere[job.id] = job
            self._ask_the_time()
            self.watcher.elsewhere(job, judge(self.pool.store.folder(job) / LEASE).words)
        else:
            self._end(job, message.kind, message.details)

    def _ask_the_time(self) -> None:
        """Have heartbeats judged by the file server's clock, not by this machine's."""
        with suppress(OSError):  # a full disk
            server_time(self.pool.store.root)

    def _look_elsewhere(self) -> None:
        self.looked = time.monotonic()
        self._ask_the_time()
        for job in list(self.elsewhere.values()):
            state = self.pool.store.state(job)
            if state == "running":
                continue
            del self.elsewhere[job.id]
            if state in ("done", "failed"):
                self._end(job, state)
            else:  # its process has stopped
                self.waiting[job.id] = job

    def _end(self, job: Job, outcome: Outcome, reason: str = "") -> None:
        _end(self.outcomes, self.watcher, job, outcome, _reason(self.pool.store, job, outcome, reason))

    def _end_rest(self) -> None:
        for job in (*self.waiting.values(), *self.elsewhere.values()):
            _end(self.outcomes, self.watcher, job, "blocked", STOPPED)


def _end(outcomes: Outcomes, watcher: Watcher, job: Job, outcome: Outcome, reason: str = "") -> None:
    outcomes.by_id[job.id] = outcome
    watcher.ended(job, outcome, reason)


def _reason(store: Store, job: Job, outcome: Outcome, reason: str) -> str:
    path = store.folder(job) / FAILURE
    return failure_of(path.parent) if outcome == "failed" and path.exists() and not reason else reason


def _blocking(job: Job, outcomes: Outcomes) -> str:
    names = [j.name for j in job.parents if outcomes.by_id.get(j.id) in ("failed", "blocked", "stopped")]
    return f"depends on {', '.join(names)}"
