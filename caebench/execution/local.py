"""Run a plan on this machine: inputs first, several jobs at once in processes of their own, each with its own threads
and, where there are GPUs, one of them.

Worker processes live as long as the run, so that torch is imported once in each. A failed job blocks only what rests
on it. Ctrl-C and SIGTERM make running jobs save and stop; the next run goes on.
"""

import math
import multiprocessing
import os
import queue
import signal
import time
from collections.abc import Callable, Container, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from caebench.config.site import Site
from caebench.execution.devices import MASK, visible_gpus
from caebench.plan.files import read_json
from caebench.plan.graph import Job
from caebench.plan.lease import Held, Look
from caebench.plan.passes import units_of
from caebench.plan.store import FAILURE, Store

Outcome = Literal["done", "cached", "failed", "blocked", "stopped"]
HELD = "another process runs it"
REPORT_EVERY = 0.2  # seconds between two looks at the workers
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass
class Watcher:
    """What the run tells whoever shows it."""

    started: Callable[[Job], None]
    progressed: Callable[[Job, int, int, Mapping[str, float]], None]
    ended: Callable[[Job, Outcome, str], None]


@dataclass
class Outcomes:
    """What became of every job of a plan, by id."""

    by_id: dict[str, Outcome] = field(default_factory=dict[str, Outcome])
    stopped_by: str | None = None  # the signal that stopped the run

    def count(self, *kinds: Outcome) -> int:
        """Jobs with one of these outcomes."""
        return sum(outcome in kinds for outcome in self.by_id.values())


@dataclass(frozen=True)
class Inside:
    """A SLURM job in which a plan runs."""

    slurm_id: str  # under which the jobs' leases are
    look: Look
    patience: float  # seconds to save in after a signal; what still runs then is ended
    num_cores: int


def run_plan(
    jobs: Sequence[Job],
    store: Store,
    site: Site,
    watcher: Watcher,
    num_parallel: int,
    separate: bool = False,
    inside: Inside | None = None,
) -> Outcomes:
    """Run what is not done and what rests on it, at most `num_parallel` at once. `jobs` must list inputs first.

    Probes that may share a pass of their encoder do, unless `separate`.
    """
    outcomes = Outcomes()
    waiting: list[Job] = []
    for job in jobs:
        rests_on_new = any(parent.id in {other.id for other in waiting} for parent in job.inputs.values())
        if store.state(job) == "done" and not rests_on_new:
            _end(outcomes, watcher, job, "cached")
        else:
            waiting.append(job)
            store.prepare(job)
    if waiting:
        cores = inside.num_cores if inside else os.cpu_count() or 1
        threads = max(1, cores // num_parallel)  # of the share, used or not: it can change a last digit
        with Pool(min(num_parallel, len(waiting)), threads, store, site, inside) as pool:
            _drain(waiting, outcomes, watcher, pool, {} if separate else units_of(waiting))
            outcomes.stopped_by = pool.stopped_by
    return outcomes


def _drain(
    waiting: list[Job], outcomes: Outcomes, watcher: Watcher, pool: "Pool", units: Mapping[str, Sequence[Job]]
) -> None:
    running: dict[str, Job] = {}
    while waiting or running:
        for job in list(waiting):
            if job not in waiting:
                continue  # it has started beside another one
            parents = {outcomes.by_id.get(parent.id) for parent in job.parents}
            if parents & {"failed", "blocked", "stopped"}:
                waiting.remove(job)
                _end(outcomes, watcher, job, "blocked", _blocking(job, outcomes))
            elif parents <= {"done", "cached"} and pool.has_room and not pool.stopping:
                unit = units.get(job.id, (job,))
                pool.submit(unit)
                for one in unit:  # of the same parents, so all are ready
                    waiting.remove(one)
                    running[one.id] = one
                    watcher.started(one)
        if pool.stopping and not running:
            for job in waiting:
                _end(outcomes, watcher, job, "blocked", "the run was stopped")
            return
        for job_id, kind, payload in pool.messages():
            if kind == "progress":
                watcher.progressed(running[job_id], *payload)
            else:
                job = running.pop(job_id)
                _end(outcomes, watcher, job, kind, _reason(pool.store, job, kind, payload))


def _end(outcomes: Outcomes, watcher: Watcher, job: Job, outcome: Outcome, reason: str = "") -> None:
    outcomes.by_id[job.id] = outcome
    watcher.ended(job, outcome, reason)


def _reason(store: Store, job: Job, kind: str, payload: str) -> str:
    path = store.folder(job) / FAILURE
    return read_json(path)["error"] if kind == "failed" and path.exists() and not payload else payload


def _blocking(job: Job, outcomes: Outcomes) -> str:
    names = [j.name for j in job.parents if outcomes.by_id.get(j.id) in ("failed", "blocked", "stopped")]
    return f"rests on {', '.join(names)}"


class Pool:
    """Worker processes, each with its share of the cores, and their messages."""

    def __init__(self, size: int, threads: int, store: Store, site: Site, inside: Inside | None = None) -> None:
        self.size, self.threads, self.store, self.stopping = size, threads, store, False
        self.stopped_by: str | None = None  # the first signal that was heard
        self._context = multiprocessing.get_context("spawn")
        self._tasks: Any = None
        self._messages: Any = None
        self._busy: dict[str, str] = {}  # a job that runs -> the first of its unit, which has the worker
        self._site, self._inside = site, inside
        self._signals = (signal.SIGINT, signal.SIGTERM, *((signal.SIGUSR2,) if inside else ()))
        self._deadline = math.inf
        self._workers: list[Any] = []

    @property
    def has_room(self) -> bool:
        """Whether a worker is free."""
        return len(set(self._busy.values())) < self.size

    def __enter__(self) -> "Pool":
        gpus = [] if self._site.device == "cpu" else visible_gpus()
        beside = math.ceil(self.size / len(gpus)) if gpus else self.size if self._inside else 1
        site = self._site.among(beside) if gpus else self._site
        threads = dict.fromkeys(THREAD_VARIABLES, str(self.threads))
        with _unwarned():
            self._tasks, self._messages = self._context.Queue(), self._context.Queue()
            arguments = (self._tasks, self._messages, self.store.root, site, self._inside, beside)
            self._workers = [self._context.Process(target=serve, args=arguments) for _ in range(self.size)]
            for number, worker in enumerate(self._workers):
                with _environment(threads | ({MASK: gpus[number % len(gpus)]} if gpus else {})):
                    worker.start()
            self._handlers = {number: signal.signal(number, self._stop) for number in self._signals}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        for _worker in self._workers:
            self._tasks.put(None)
        for worker in self._workers:
            worker.join()

    def _stop(self, number: int, frame: object) -> None:
        if self.stopped_by is None:
            self.stopping, self.stopped_by = True, signal.Signals(number).name
            self._deadline = time.monotonic() + (self._inside.patience if self._inside else math.inf)
        self._ask_to_stop()

    def _ask_to_stop(self) -> None:
        """Pass the wish to stop on to the workers, which save and stop."""
        for worker in self._workers:
            if worker.is_alive():
                os.kill(worker.pid, signal.SIGTERM)

    def submit(self, unit: Sequence[Job]) -> None:
        """Give a job, or several that share a pass, to the next free worker."""
        self._busy |= {job.id: unit[0].id for job in unit}
        self._tasks.put({job.id: job.name for job in unit})

    def messages(self) -> list[tuple[str, Any, Any]]:
        """(job id, "progress" or its outcome, details) of all that has happened; a worker's death is a failure."""
        found: list[tuple[str, Any, Any]] = []
        if self.stopping:
            self._ask_to_stop()  # again: a job that was still being set up did not hear it
        try:
            found.append(self._messages.get(timeout=REPORT_EVERY))
            while True:
                found.append(self._messages.get_nowait())
        except queue.Empty:
            pass  # nothing more to tell
        if self._busy and time.monotonic() > self._deadline:
            found = [*found, *self._end_late({job_id for job_id, kind, _ in found if kind != "progress"})]
        elif not found and self._busy and not all(worker.is_alive() for worker in self._workers):
            found = [(job_id, "failed", "its worker process died (out of memory?)") for job_id in self._busy]
            self.stopping = True
        for job_id, kind, _ in found:
            if kind != "progress":
                self._busy.pop(job_id, None)
        return found

    def _end_late(self, ended: Container[str]) -> list[tuple[str, Any, Any]]:
        """End workers that have not stopped in time; their jobs go on from what they saved last."""
        for worker in self._workers:
            worker.kill()
        return [(job_id, "stopped", "") for job_id in self._busy if job_id not in ended]


@contextmanager
def _unwarned() -> Generator[None]:
    """SLURM warns every process of a job: those started here never hear it, and this one hears it afterwards."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR2})


@contextmanager
def _environment(changes: Mapping[str, str]) -> Generator[None]:
    """This process's environment, changed for the children that it starts meanwhile."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)


def serve(tasks: Any, messages: Any, store: Path, site: Site, inside: Inside | None, beside: int) -> None:
    """A worker process: run jobs until told to end, `beside` of them at once on a device."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all; the parent passes on a SIGTERM
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # between jobs there is nothing to save
    from caebench.execution.logs import write_plain_logs
    from caebench.execution.worker import run_jobs

    write_plain_logs()
    slurm_id, look = (inside.slurm_id, inside.look) if inside else (None, None)
    while (names := tasks.get()) is not None:
        folders = {store / name: job_id for job_id, name in names.items()}
        try:
            tells = {folder: partial(_tell, messages, job_id) for folder, job_id in folders.items()}
            outcomes = run_jobs(tells, store, site, slurm_id, look, beside)
            for folder, job_id in folders.items():
                messages.put((job_id, outcomes.get(folder, "failed"), "" if folder in outcomes else HELD))
        except Held as error:
            for job_id in names:
                messages.put((job_id, "failed", str(error)))


def _tell(messages: Any, job_id: str, done: int, total: int, shown: Mapping[str, float]) -> None:
    messages.put((job_id, "progress", (done, total, dict(shown))))
