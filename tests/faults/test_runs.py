"""Several runs at once on one store: each job is done once, and its numbers are the undisturbed ones."""

import os
import random
import time

import pytest

from caebench.files.layout import RESULT
from tests.faults.chain import begins, found_in, left_over, new_bench, start_suite
from tests.helpers import AS_ROOT, OTHER, open_folder


@pytest.mark.parametrize("number", [2, pytest.param(10, marks=pytest.mark.slow)])
def test_runs_at_once_do_each_job_once(chain, undisturbed, number):
    commands = [start_suite(chain) for _ in range(number)]
    for command in commands:
        assert command.wait() == 0, command.output
    assert set(begins(chain.store).values()) == {1}
    assert found_in(chain.store) == found_in(undisturbed) and left_over(chain.store) == []


@pytest.fixture
def shared():
    """A store of a group, and a bench of each of two users in it."""
    with open_folder() as root:
        store = root / "store"
        store.mkdir()
        benches = [new_bench(store, root / f"home-{user}", user) for user in (OTHER, OTHER + 1)]
        for path in (store, *(bench.home for bench in benches)):
            os.chown(path, 0, OTHER)
            os.chmod(path, 0o2775)
        yield benches


@AS_ROOT
@pytest.mark.slow
def test_two_users_at_once_do_each_job_once_and_both_can_go_on(shared, undisturbed):
    commands = [start_suite(bench) for bench in shared]
    for command in commands:
        assert command.wait() == 0, command.output
    store = shared[0].store
    assert set(begins(store).values()) == {1}
    assert found_in(store) == found_in(undisturbed) and left_over(store) == []
    for bench, kind in zip(shared, ("pretrain", "knn"), strict=True):  # whoever has made it
        (folder,) = (store / kind).iterdir()
        (folder / RESULT).unlink()
        command = start_suite(bench)
        assert command.wait() == 0, command.output
    assert found_in(store) == found_in(undisturbed)


@pytest.mark.parametrize("users", [1, pytest.param(2, marks=AS_ROOT)])
@pytest.mark.parametrize("draw", range(5))
@pytest.mark.slow
def test_one_of_two_runs_is_killed_in_the_middle(request, chain, undisturbed, users, draw):
    """At a drawn moment: its worker saves, and the other run goes on with the job."""
    shared = request.getfixturevalue("shared") if users == 2 else [chain, chain]
    moment = random.Random(draw).uniform(0.0, 2.0)
    print(f"killed {moment:.2f} s after the first job has begun")
    commands = [start_suite(bench) for bench in shared]
    store = shared[0].store
    assert commands[0].wait_until(lambda: any(begins(store).values())), commands[0].output
    time.sleep(moment)
    commands[draw % 2].process.kill()
    assert commands[1 - draw % 2].wait() == 0, commands[1 - draw % 2].output
    assert found_in(store) == found_in(undisturbed)
    assert left_over(store) == []
