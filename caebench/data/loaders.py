"""Loader processes: they leave the signals that ask a job to stop to the process that trains, and end with it."""

import multiprocessing
import os
import signal
from collections.abc import Generator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any

from torch.utils.data import DataLoader

STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)  # `training.signals` answers them


class Loader(DataLoader[Any]):
    """torch's loader, whose processes ignore the signals in STOPS from their start on.

    A terminal sends Ctrl-C, and a scheduler its warnings, to every process of a job. A loader process that died of it
    would be a failure of the job, and the steps since the last checkpoint would be lost.
    """

    def __init__(self, dataset: Any, **options: Any) -> None:
        super().__init__(dataset, worker_init_fn=leave_signals, **options)

    def __iter__(self) -> Any:  # torch names the type of its own iterators
        if self.num_workers == 0:
            return super().__iter__()
        if multiprocessing.get_start_method() != "fork":
            with blocked():
                resource_tracker.ensure_running()  # here: it unblocks some signals when it starts
        with blocked():
            batches: Any = super().__iter__()
        for process in batches._workers:
            process._popen.terminate = process._popen.kill  # torch's and Python's last resort, SIGTERM, is ignored
        return batches


@contextmanager
def blocked() -> Generator[None]:
    """Block the signals in STOPS in this thread, and in what it starts; they arrive here afterwards."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_signals(worker_id: int) -> None:
    """The first that a loader process does: ignore the signals in STOPS, and end if it has no parent any more.

    Later torch checks every few seconds that the parent is the same.
    """
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():  # not by its pid: a fork server's children have another parent
        os._exit(1)
