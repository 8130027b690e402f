"""A signal becomes a request to stop."""

import os
import signal

import pytest

from caebench.training.signals import StopRequest, watch_signals


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2"])
def test_a_signal_becomes_a_request_and_handlers_are_put_back(name):
    number = getattr(signal, name)
    before, stop, other = signal.getsignal(number), StopRequest(), StopRequest()
    with watch_signals(stop, other):
        assert stop.name is None
        os.kill(os.getpid(), number)
        assert stop.name == other.name == name
    assert signal.getsignal(number) == before
