"""Orderly stops: SIGTERM, SIGINT, SIGUSR1 and SIGUSR2 ask a job to save and stop."""

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)


class Interrupted(Exception):
    """The job was asked to stop by a signal, and has saved its state."""

    def __init__(self, message: str, signal: str) -> None:
        super().__init__(message)
        self.signal = signal


class StopRequest:
    """Whether this process was asked to stop, and by which signal."""

    def __init__(self) -> None:
        self.name: str | None = None

    @property
    def flags(self) -> list[bool]:
        """One flag for each of SIGNALS, which the processes of a group compare."""
        return [self.name == known.name for known in SIGNALS]


def first_raised(flags: Sequence[bool]) -> str | None:
    """The first signal whose flag is raised."""
    return next((known.name for known, raised in zip(SIGNALS, flags, strict=True) if raised), None)


@contextmanager
def watch_signals(*requests: StopRequest) -> Iterator[None]:
    """Turn the signals into requests that a loop reads; processes that were forked meanwhile ignore them."""
    owner = os.getpid()

    def handle(number: int, frame: object) -> None:
        if os.getpid() == owner:
            for request in requests:
                request.name = signal.Signals(number).name

    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
