"""A stop is heard within ten seconds, whatever a step takes, and all processes ask at the same steps."""

import itertools
import time

import pytest
import torch

from caebench.training.distributed import Group
from caebench.training.stopping import StopInterval


class Follower(Group):
    """The second of two processes; the first one's steps take 4 seconds."""

    def sum(self, values):
        return values + 2


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize(("seconds", "steps"), [(0.01, 10), (1.0, 10), (1.3, 7), (4.9, 2), (5.7, 1), (60.0, 1)])
def test_so_many_steps_lie_between_two_questions(clock, seconds, steps):
    interval = StopInterval(Group(0, 1, torch.device("cpu")), 20)
    assert [interval.is_over(step) for step in (21, 22, 23)] == [True] * 3, "until the time of a step is known"
    clock[0] += 10 * seconds
    interval.measure(30)
    assert interval.steps == steps and (seconds > 10 or steps * seconds <= 10)
    asked = [step for step in range(30, 51) if interval.is_over(step)]
    assert {later - earlier for earlier, later in itertools.pairwise(asked)} == {steps}


def test_the_first_processs_time_counts(clock):
    interval = StopInterval(Follower(1, 2, torch.device("cpu")), 0)
    clock[0] += 1.0
    interval.measure(10)
    assert interval.steps == 2


def test_a_single_process_does_not_ask_its_device(monkeypatch):
    group = Group(0, 1, torch.device("cuda"))  # none is here: a tensor on it would raise
    assert group.any([True, False]) == [True, False] and group.of_first(3) == 3
