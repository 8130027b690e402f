"""Worker processes of a run on this machine: each has a pipe of its own, so that one that dies harms no other.

A worker lives as long as the run, so torch is imported once in each. It ends with the process that started it: its job
saves and stops, as at SIGTERM.
"""

import math
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import connection, resource_tracker
from pathlib import Path
from typing import Any, Literal, NamedTuple

from caebench.execution.devices import MASK, visible_gpus
from caebench.execution.logs import write_plain_logs
from caebench.execution.recording import log_attempt, record_error, record_failure
from caebench.execution.schedulers.base import SchedulerJob
from caebench.execution.worker import run_jobs
from caebench.files.atomic import now
from caebench.specs.job import Job
from caebench.specs.plugins import use
from caebench.specs.site import Site
from caebench.store.lease import LeaseTaken
from caebench.store.store import Store

REPORT_EVERY = 0.2  # seconds between two checks of the workers
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Allocation:
    """The resources of a scheduler's job in which a plan runs."""

    job: SchedulerJob
    patience: float  # seconds to save in after a signal, before running jobs are killed
    num_cores: int


class Message(NamedTuple):
    """What a worker says of a job, or the pool of a worker that has died."""

    job_id: str
    kind: Literal["progress", "done", "failed", "stopped", "elsewhere"]  # elsewhere: another process has its lease
    details: Any


@dataclass
class Worker:
    """A worker process, this end of its pipe, and the jobs that it runs now."""

    process: Any
    pipe: Any
    jobs: set[str] = field(default_factory=set[str])

    def messages(self) -> Iterator[Message]:
        """All that it has said; nothing more from one that has died."""
        with suppress(EOFError, OSError):  # it has died: `Pool` says so of its jobs
            while self.pipe.poll():
                message = Message(*self.pipe.recv())
                if message.kind != "progress":
                    self.jobs.discard(message.job_id)
                yield message


class Pool:
    """Worker processes, each with a part of the cores, and their messages."""

    def __init__(self, size: int, threads: int, store: Store, site: Site, allocation: Allocation | None = None) -> None:
        self.size, self.threads, self.store, self.stopping = size, threads, store, False
        self.stopped_by: str | None = None  # the first signal received
        self._context = multiprocessing.get_context("spawn")
        self._site, self._allocation = site, allocation
        self._gpus = [] if site.device == "cpu" else visible_gpus()
        self._signals = (signal.SIGINT, signal.SIGTERM, *((signal.SIGUSR2,) if allocation else ()))
        self._deadline = math.inf
        self._workers: list[Worker] = []  # one for each slot

    @property
    def has_room(self) -> bool:
        """Whether a worker is free."""
        return any(not worker.jobs for worker in self._workers)

    def __enter__(self) -> "Pool":
        self._handlers = {number: signal.signal(number, self._stop) for number in self._signals}
        resource_tracker.ensure_running()  # now, since it unblocks Ctrl-C when it starts
        for slot in range(self.size):
            self._workers.append(self._start(slot))
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        for worker in self._workers:
            worker.pipe.close()  # it ends when there is nothing more to read
        for worker in self._workers:
            worker.process.join()

    def _start(self, slot: int) -> Worker:
        num_concurrent = math.ceil(self.size / len(self._gpus)) if self._gpus else self.size if self._allocation else 1
        site = self._site.among(num_concurrent) if self._gpus else self._site
        variables: dict[str, str] = {name: str(self.threads) for name in THREAD_VARIABLES}
        if self._gpus:
            variables[MASK] = self._gpus[slot % len(self._gpus)]
        ours, theirs = self._context.Pipe()
        arguments = (theirs, self.store.root, site, self._allocation, num_concurrent)
        process = self._context.Process(target=serve, args=arguments)
        with _signals_held(), _environment(variables):
            process.start()
        theirs.close()
        return Worker(process, ours)

    def _stop(self, number: int, frame: object) -> None:
        if self.stopped_by == "SIGINT" and number == signal.SIGINT and not self._allocation:
            self._deadline = -math.inf  # a second Ctrl-C: `messages` kills
        if self.stopped_by is None:
            self.stopping, self.stopped_by = True, signal.Signals(number).name
            self._deadline = time.monotonic() + (self._allocation.patience if self._allocation else math.inf)
        self._ask_to_stop()

    def _ask_to_stop(self) -> None:
        """Ask the workers to save and stop."""
        for worker in self._workers:
            if worker.process.is_alive():
                os.kill(worker.process.pid, signal.SIGTERM)

    def submit(self, group: Sequence[Job]) -> None:
        """Give a job, or several that share a pass, to a free worker; if it has died meanwhile, to a new one."""
        slot = next(slot for slot, worker in enumerate(self._workers) if not worker.jobs)
        if not self._workers[slot].process.is_alive():
            self._workers[slot] = self._start(slot)
        worker = self._workers[slot]
        worker.jobs = {job.id for job in group}
        with suppress(OSError):  # it died just now: `messages` finds out
            worker.pipe.send({job.id: self.store.folder(job) for job in group})

    def messages(self) -> list[Message]:
        """All new messages; a worker's death is a message on each of its jobs."""
        if self.stopping:
            self._ask_to_stop()  # again, because a job that was still being set up missed it
        if is_late := time.monotonic() > self._deadline:
            for worker in self._workers:
                worker.process.kill()
        busy = [worker for worker in self._workers if worker.jobs]
        if busy:
            connection.wait([worker.pipe for worker in busy], REPORT_EVERY)
        else:
            time.sleep(REPORT_EVERY)
        return [message for worker in busy for message in self._of(worker, is_late)]

    def _of(self, worker: Worker, is_late: bool) -> Iterator[Message]:
        is_dead = is_late or not worker.process.is_alive()  # before its last messages are read
        yield from worker.messages()
        if is_dead:
            worker.process.join()
            kind, reason = ("stopped", "") if is_late else how_it_died(worker.process.exitcode)
            for job_id in sorted(worker.jobs):
                if kind == "failed" and (folder := self.store.locate(job_id)):
                    record_failure(folder, reason)
                    log_attempt(folder, pid=worker.process.pid, ends=now(), outcome=kind)
                yield Message(job_id, kind, reason)
            worker.jobs.clear()


def how_it_died(status: int) -> tuple[Literal["failed", "stopped"], str]:
    """Outcome and reason of jobs whose process has ended without a word, by its exit status."""
    if status in (-signal.SIGTERM, -signal.SIGINT):
        return "stopped", ""
    if status < 0:
        memory = " (out of memory?)" if status == -signal.SIGKILL else ""
        return "failed", f"its worker process was killed by {signal.Signals(-status).name}{memory}"
    return "failed", f"its worker process ended with status {status}"


@contextmanager
def _signals_held() -> Generator[None]:
    """Block, in the children, what goes to every process: Ctrl-C, and a scheduler's warning. This one still gets it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGUSR2})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _environment(changes: Mapping[str, str]) -> Generator[None]:
    """Change this process's environment for the child that it starts in the meantime."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)


def serve(pipe: Any, store: Path, site: Site, allocation: Allocation | None, num_concurrent: int) -> None:
    """A worker process: run jobs until its pipe ends, `num_concurrent` of them at once on a device."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all; the parent sends SIGTERM
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # between jobs there is nothing to save
    threading.Thread(target=stop_with, args=(multiprocessing.parent_process(),), daemon=True).start()
    write_plain_logs()
    own_job = allocation.job if allocation else None
    with suppress(EOFError, OSError):  # the parent has closed the pipe, or has died
        while True:
            folders: dict[Path, str] = {folder: job_id for job_id, folder in pipe.recv().items()}
            tells = {folder: partial(_tell, pipe, job_id) for folder, job_id in folders.items()}
            try:
                use(site.plugins, site.plugins_path)
                outcomes = run_jobs(tells, store, site, own_job, num_concurrent)
            except LeaseTaken:
                outcomes = {}
            except Exception as error:  # before a job has begun, for example without the device that the site names
                outcomes = dict.fromkeys(folders, "failed")
                for folder in folders:
                    record_error(folder, error)
            for folder, job_id in folders.items():
                pipe.send((job_id, outcomes.get(folder, "elsewhere"), ""))


def stop_with(parent: Any) -> None:
    """Wait for the process that started this one; when it has died, have the job save and stop, until it does."""
    connection.wait([parent.sentinel])
    while True:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(REPORT_EVERY)


def _tell(pipe: Any, job_id: str, done: int, total: int, shown: Mapping[str, float]) -> None:
    with suppress(OSError):  # nobody listens any more: `stop_with` stops the job
        pipe.send((job_id, "progress", (done, total, dict(shown))))
