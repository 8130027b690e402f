"""Stopping in order: SIGTERM, SIGINT, SIGUSR1 and SIGUSR2 ask a job to save and stop."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)


class Interrupted(Exception):
    """The job was asked to stop, and has saved what it had; by which signal."""

    def __init__(self, message: str, signal: str | None = None) -> None:
        super().__init__(message)
        self.signal = signal


class StopRequest:
    """Whether a stop was asked for."""

    def __init__(self) -> None:
        self.name: str | None = None


@contextmanager
def watch_signals() -> Iterator[StopRequest]:
    """Turn the signals into a request that the loop reads; forked data loaders leave them to the process itself."""
    request, owner = StopRequest(), os.getpid()

    def handle(number: int, frame: object) -> None:
        if os.getpid() == owner:
            request.name = signal.Signals(number).name

    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
