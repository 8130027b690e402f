"""Leases, states and drift."""

import json
import multiprocessing
import os
import socket
import subprocess
import sys

import pytest

from caebench.plan import lease as lease_module
from caebench.plan.files import read_json, write_json
from caebench.plan.graph import make_job
from caebench.plan.lease import LEASE, Held, acquire, is_live, release
from caebench.plan.store import DriftError, Store
from caebench.recipes.random import random_encoder


@pytest.fixture
def job():
    return make_job(random_encoder("vit_b"))


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


@pytest.fixture
def folder(store, job):
    return store.prepare(job)


def finish(folder):
    write_json(folder / "result.json", {"metrics": {}})


def test_a_lease_is_exclusive_until_it_is_released(folder):
    acquire(folder)
    with pytest.raises(Held, match="already running"):
        acquire(folder)
    release(folder)
    acquire(folder)


def dead_lease(folder):
    """The lease of a process that has ended without a word."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    content = {"host": socket.gethostname(), "pid": child.pid, "started": lease_module.process_start(child.pid)}
    (folder / LEASE).write_text(json.dumps(content))
    assert is_live(folder / LEASE)
    return child


def test_a_dead_processs_lease_is_taken_over(folder):
    child = dead_lease(folder)
    with pytest.raises(Held):
        acquire(folder)
    child.kill()
    child.communicate()
    acquire(folder)
    assert read_json(folder / LEASE)["pid"] == os.getpid()


def test_a_process_that_nobody_has_collected_is_dead(folder):
    """In a container without an init process, killed jobs stay behind as zombies."""
    child = dead_lease(folder)
    child.stdin.close()
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # wait, and leave the zombie
    assert not is_live(folder / LEASE)
    child.wait()


def test_a_pid_used_again_is_not_taken_for_the_old_process(folder):
    content = {"host": socket.gethostname(), "pid": os.getpid(), "started": "1"}
    (folder / LEASE).write_text(json.dumps(content))
    assert not is_live(folder / LEASE)


def test_a_lease_from_another_machine_counts_as_live(folder):
    (folder / LEASE).write_text(json.dumps({"host": "elsewhere", "pid": 1, "started": "1"}))
    with pytest.raises(Held):
        acquire(folder)


def test_a_lease_being_written_counts_as_live(folder):
    (folder / LEASE).write_text('{"host": ')
    assert is_live(folder / LEASE)


def try_to_acquire(folder, start, won):
    start.wait()
    try:
        acquire(folder)
        won.put(os.getpid())
        start.wait()  # live until all have tried
    except Held:
        start.wait()


def test_of_many_processes_one_takes_over_a_dead_lease(folder):
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    for _ in range(5):
        child = dead_lease(folder)
        child.kill()
        child.communicate()
        start, won = context.Barrier(4), context.SimpleQueue()
        processes = [context.Process(target=try_to_acquire, args=(folder, start, won)) for _ in range(4)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        winner = won.get()
        assert won.empty()
        assert read_json(folder / LEASE)["pid"] == winner
        release(folder)


def test_states_follow_the_files(store, job):
    assert store.state(job) == "todo"
    folder = store.prepare(job)
    assert store.state(job) == "todo"
    (folder / "checkpoints").mkdir()
    assert store.state(job) == "paused"
    write_json(folder / "failure.json", {"error": "x"})
    assert store.state(job) == "failed"
    acquire(folder)
    assert store.state(job) == "running"
    finish(folder)
    assert store.state(job) == "done"


def test_a_changed_default_under_a_finished_job_is_drift(store, job, folder):
    finish(folder)
    content = read_json(folder / "job.json")
    content["config"]["layer_scale"] = 0.2
    write_json(folder / "job.json", content)
    with pytest.raises(DriftError, match=r"layer_scale: 0\.2 -> 0\.1") as caught:
        store.state(job)
    assert str(folder / "job.json") in str(caught.value) and "plan/identity.py" in str(caught.value)


def test_a_field_that_is_new_since_then_is_no_drift(store, job, folder):
    finish(folder)
    content = read_json(folder / "job.json")
    del content["config"]["layer_scale"]
    write_json(folder / "job.json", content)
    assert store.state(job) == "done"


def test_an_interrupted_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "result.json"
    write_json(path, {"old": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"new": float("nan")})
    assert read_json(path) == {"old": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_jobs_are_found_by_the_beginning_of_their_id(store, job, folder):
    assert store.find(job.id) == store.find(job.id[:6]) == folder
    with pytest.raises(ValueError, match="no job has this id"):
        store.find("zz")
    store.prepare(make_job(random_encoder("vit_l")))
    with pytest.raises(ValueError, match="2 jobs begin so"):
        store.find("")
