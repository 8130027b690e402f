"""Clocks that jump and clocks that are wrong: no live lease is taken over, a dead one is, and no number changes."""

import json
import os
import socket
import time
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from caebench.files import atomic
from caebench.files.atomic import server_time, write_json
from caebench.files.layout import HEARTBEAT, LEASE
from caebench.planning import setup
from caebench.store.judging import judge
from caebench.store.state import Statuses
from caebench.store.store import Store
from tests.faults.chain import begins, enter_tiny, found_in, left_over, link_to, of_kind, run_suite, start_suite
from tests.helpers import answer, last_step

HOUR, DAY = 3600.0, 86400.0
JUMPS = [HOUR, -HOUR, DAY, -DAY]
RAISED = "jumped"  # a file in the home folder: from then on the machine's clock is wrong
slow = pytest.mark.slow


class Jumping(datetime):
    """The machine's clock, as `datetime` reads it."""

    wrong = staticmethod(lambda: 0.0)

    @classmethod
    def now(cls, tz: Any = None) -> datetime:
        return datetime.now(tz) + timedelta(seconds=cls.wrong())


def enter_jumping(flag: Path, seconds: float, host: str | None, *arguments: Any) -> None:
    """A process whose machine's clock is wrong by so much once a file is there; perhaps on a machine of another name.

    The file server's clock is right: files have the kernel's times.
    """
    right = time.time

    def wrong() -> float:
        return seconds if os.path.exists(flag) else 0.0

    Jumping.wrong = staticmethod(wrong)
    atomic.datetime = Jumping  # pyright: ignore[reportAttributeAccessIssue]
    time.time = lambda: right() + wrong()
    if host is not None:
        socket.gethostname = lambda: host
    enter_tiny(None, *arguments)


def jumping(chain, seconds, host=None):
    return replace(chain, enter=partial(enter_jumping, chain.home / RAISED, seconds, host))


def check_shown(bench):
    """Check that `status` shows the store, without a time that cannot be."""
    shown = bench.run("status", "--json")
    assert shown.process.exitcode == 0 and "Traceback" not in shown.output, shown.output
    document = json.loads(shown.output)
    numbers = [fact[name] for fact in document for name in ("hours_used", "hours_left", "images_per_second")]
    assert all(number is None or number >= 0 for number in numbers), shown.output
    assert bench.run("status").process.exitcode == 0


@pytest.mark.parametrize("seconds", [-HOUR, *(pytest.param(one, marks=slow) for one in JUMPS if one != -HOUR)])
def test_a_clock_that_jumps_during_a_job_changes_nothing(chain, undisturbed, seconds):
    link_to(undisturbed, chain.store, "data")
    bench = jumping(chain, seconds)
    command = start_suite(bench)
    assert command.wait_until(lambda: _trains(chain.store)), command.output
    (chain.home / RAISED).touch()
    check_shown(bench)
    assert command.wait() == 0, command.output
    check_shown(bench)
    assert found_in(chain.store) == found_in(undisturbed) and left_over(chain.store) == []


def _trains(store):
    return any(last_step(folder) >= 10 for folder in (store / "pretrain").glob("*"))


@pytest.mark.parametrize("seconds", JUMPS)
@slow
def test_a_machine_with_a_wrong_clock_takes_over_nothing_that_lives(chain, undisturbed, seconds):
    link_to(undisturbed, chain.store, "data")
    first = start_suite(chain)
    assert first.wait_until(lambda: _trains(chain.store)), first.output
    (chain.home / RAISED).touch()
    second = start_suite(jumping(chain, seconds, "elsewhere"))
    assert (first.wait(), second.wait()) == (0, 0), first.output + second.output
    assert set(begins(chain.store).values()) == {1}
    assert second.output.count("waits ") <= 3, "it waits once for each job that the other runs"
    assert found_in(chain.store) == found_in(undisturbed) and left_over(chain.store) == []


@pytest.fixture
def held(chain, undisturbed):
    """Write the lease of a pretraining on another machine: alive until so many seconds ago."""

    def write(silent):
        link_to(undisturbed, chain.store, "data")
        folder = chain.store / "pretrain" / of_kind(undisturbed, "pretrain").name
        folder.mkdir(parents=True)
        (folder / "job.json").write_bytes((of_kind(undisturbed, "pretrain") / "job.json").read_bytes())
        lease = {"purpose": "run", "host": "n7", "pid": 1, "started": "1", "user": "ann", "stale_after": 900.0}
        write_json(folder / LEASE, {**lease, "time": "noon"})
        (folder / HEARTBEAT).touch()
        os.utime(folder / LEASE, (time.time() - DAY,) * 2)
        os.utime(folder / HEARTBEAT, (time.time() - silent,) * 2)
        return folder

    return write


@pytest.mark.parametrize("seconds", JUMPS)
@slow
def test_a_dead_lease_is_taken_over_whatever_the_machines_clock_says(chain, undisturbed, held, seconds):
    held(910)
    (chain.home / RAISED).touch()
    command = run_suite(jumping(chain, seconds))
    assert command.process.exitcode == 0, command.output
    assert found_in(chain.store) == found_in(undisturbed) and left_over(chain.store) == []


@pytest.mark.parametrize("seconds", JUMPS)
@pytest.mark.parametrize(("silent", "lives"), [(100, True), (910, False)])
def test_who_has_asked_the_file_server_judges_by_its_clock(chain, held, monkeypatch, seconds, silent, lives):
    folder, right = held(silent), time.time
    monkeypatch.setattr(time, "time", lambda: right() + seconds)
    monkeypatch.setattr(atomic, "_ahead", {})
    server_time(chain.store)
    assert (Store(chain.store).state_at(folder) == "running") == lives


@pytest.mark.parametrize("seconds", JUMPS)
def test_a_verb_that_only_reads_says_whose_heartbeats_have_ended(chain, held, monkeypatch, seconds):
    """It writes nothing, so it knows this machine's clock alone."""
    folder, right = held(100), time.time
    monkeypatch.setattr(time, "time", lambda: right() + seconds)
    monkeypatch.setattr(atomic, "_ahead", {})
    state, reason = Statuses(Store(chain.store)).of(folder)
    if seconds < 0:
        assert state == "running" and "last heartbeat 0 s ago" in judge(folder / LEASE).words
    else:
        assert state == "todo" and reason == (
            f"gone: ann since noon (process 1 on n7), with its last heartbeat {seconds + 100:.0f} s ago"
        )


def test_deleting_keeps_what_a_job_elsewhere_needs(chain, held, monkeypatch, capsys):
    """The clock is an hour ahead; no suite plans the jobs, of which one lives by the file server's clock."""
    folder, right = held(100), time.time
    monkeypatch.setattr(time, "time", lambda: right() + HOUR)
    monkeypatch.setattr(atomic, "_ahead", {})
    monkeypatch.setattr(setup, "planned_ids", lambda *_: set())
    monkeypatch.setenv("HOME", str(chain.home))
    told = answer(["store", "--delete", "--yes", "--store", str(chain.store)], capsys, monkeypatch)
    assert told.status == 0, told.out + told.error
    assert folder.exists() and len(list((chain.store / "data").iterdir())) == 1
