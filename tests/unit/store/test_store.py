"""Leases, states and drift."""

import json
import multiprocessing
import os
import socket
import subprocess
import sys

import pytest

from caebench.files.atomic import read_json, write_json
from caebench.files.layout import LEASE, RESULT
from caebench.report.explain import explain
from caebench.specs.evaluations.knn import knn
from caebench.specs.inputs.random_encoder import random_encoder
from caebench.specs.job import make_job
from caebench.specs.methods.cae import cae
from caebench.store.holders import process_start
from caebench.store.judging import is_live
from caebench.store.lease import LeaseTaken, acquire, release
from caebench.store.state import Statuses
from caebench.store.store import DriftError, Store
from tests.helpers import PATIENCE


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
    with pytest.raises(LeaseTaken, match="already running"):
        acquire(folder)
    release(folder)
    acquire(folder)


def stale_lease(folder):
    """The lease of a process that has ended without a word."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    content = {"host": socket.gethostname(), "pid": child.pid, "started": process_start(child.pid)}
    (folder / LEASE).write_text(json.dumps(content))
    assert is_live(folder / LEASE)
    return child


def test_a_stale_lease_of_a_dead_process_is_taken_over(folder):
    child = stale_lease(folder)
    with pytest.raises(LeaseTaken):
        acquire(folder)
    child.kill()
    child.communicate()
    acquire(folder)
    assert read_json(folder / LEASE)["pid"] == os.getpid()


def test_a_process_that_nobody_has_collected_is_dead(folder):
    """In a container without an init process, killed jobs stay behind as zombies."""
    child = stale_lease(folder)
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
    with pytest.raises(LeaseTaken):
        acquire(folder)


def test_a_lease_being_written_counts_as_live(folder):
    (folder / LEASE).write_text('{"host": ')
    assert is_live(folder / LEASE)


def try_to_acquire(folder, start, won):
    start.wait(PATIENCE)
    try:
        acquire(folder)
        won.put(os.getpid())
    except LeaseTaken:
        pass  # another has won
    finally:
        start.wait(PATIENCE)  # live until all have tried


def test_of_many_processes_one_takes_over_a_stale_lease(folder):
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    for _ in range(5):
        child = stale_lease(folder)
        child.kill()
        child.communicate()
        start, won = context.Barrier(4), context.SimpleQueue()
        processes = [context.Process(target=try_to_acquire, args=(folder, start, won)) for _ in range(4)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(PATIENCE)
        assert [process.exitcode for process in processes] == [0] * 4
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


def test_a_run_here_includes_the_dependents_of_what_is_not_done(store, job, folder):
    probe = make_job(knn(), encoder=job)
    plan = [*probe.ancestors(), probe]
    for one in plan:
        finish(store.prepare(one))
    assert store.to_run(plan) == []
    (folder / "result.json").unlink()
    assert store.to_run(plan) == [job, probe] and store.state(probe) == "done"


def test_a_job_prepared_again_is_written_only_where_something_has_changed(store, job, folder):
    before = (folder / "job.json").stat()
    store.prepare(job)
    assert (folder / "job.json").stat() == before
    write_json(folder / "job.json", {**read_json(folder / "job.json"), "label": "of another suite"})
    store.prepare(job)
    assert "label" not in read_json(folder / "job.json")


def test_a_changed_default_under_a_finished_job_is_drift(store, job, folder):
    finish(folder)
    content = read_json(folder / "job.json")
    content["config"]["layer_scale"] = 0.2
    write_json(folder / "job.json", content)
    with pytest.raises(DriftError, match=r"layer_scale: 0\.2 -> 0\.1") as caught:
        store.state(job)
    assert str(folder / "job.json") in str(caught.value)
    assert "VERSION of the kind's class in caebench/specs/" in str(caught.value)


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
    with pytest.raises(ValueError, match="2 jobs have this prefix"):
        store.find("")


@pytest.fixture
def chain(store, tiny):
    """Data, an encoder that trained on it, a probe of the encoder: all done on monday."""
    encoder = make_job(tiny.apply(cae("vit_b", target="pixels")))
    probe = make_job(tiny.apply(knn()), encoder=encoder)
    jobs = {"data": encoder.inputs["data"], "encoder": encoder, "probe": probe}
    for job in jobs.values():
        seen = dict.fromkeys(job.inputs, "monday")
        write_json(store.prepare(job) / RESULT, {"metrics": {}, "finished": "monday", "inputs_finished": seen})
    return jobs


def test_what_depends_on_a_changed_input_is_to_do_at_any_depth(store, chain):
    """`status`, `plan`, `run` and `why` read these."""
    assert {store.state(job) for job in chain.values()} == {"done"}
    data = store.folder(chain["data"]) / RESULT
    write_json(data, {"metrics": {}, "finished": "tuesday"})
    folder = store.folder(chain["probe"])
    reason = "has changed: finished tuesday, and monday when this job began"
    for known in (store, Store(store.root)):
        assert [known.state(job) for job in chain.values()] == ["done", "todo", "todo"]
        assert Statuses(known).of(store.folder(chain["encoder"])) == ("todo", f"its data {chain['data'].name} {reason}")
        state, said = Statuses(known).of(folder)
        assert state == "todo" and chain["data"].name in said and said.endswith(reason)
        assert explain(known, folder)["state"] == "todo" and explain(known, folder)["changed_input"] == said
    data.unlink()  # to free its disk
    assert [store.state(job) for job in chain.values()] == ["todo", "done", "done"]


def test_a_changed_input_of_a_job_that_runs_again(store, chain):
    write_json(store.folder(chain["data"]) / RESULT, {"metrics": {}, "finished": "tuesday"})
    folder = store.folder(chain["encoder"])
    acquire(folder)
    assert store.state(chain["encoder"]) == "running" and Statuses(store).of(folder) == ("running", "")
    assert store.state(chain["probe"]) == "todo"
