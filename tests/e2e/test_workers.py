"""A run's worker processes: one is killed, the run itself is, and two runs share a store."""

import getpass
import os
import signal
import time

import pytest

from caebench.execution import local
from caebench.execution.local import Watcher, run_plan
from caebench.specs.site import Site
from caebench.store.holders import process_start
from caebench.store.state import Statuses, attempts
from caebench.store.store import Store
from tests.helpers import FORKS, PATIENCE, last_step, longer, metrics, read, variation

EAGER = Site(device="cpu", checkpoint_minutes=1e-9)
NOBODY = Watcher(*[lambda *_: None] * 4)


@pytest.fixture
def long(quickstart, bench):
    """A pretraining of 250 steps."""
    found = quickstart.job("pretrain", "cae-pixels")
    return variation(bench, found, longer(found, epochs=50))


@pytest.fixture
def other(quickstart, bench):
    """Another pretraining, of 60 steps."""
    found = quickstart.job("pretrain", "cae-dvae")
    return variation(bench, found, longer(found))


def start_elsewhere(bench, job):
    """Another process that runs the job, and has come to step 10."""
    command = bench.start("run", "job", job.id, "--site", "eager")
    assert command.wait_until(lambda: last_step(bench.folder(job)) >= 10), command.output
    return command


def wait_until(reached):
    end = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.01)


def plan_of(*jobs):
    return list({one.id: one for job in jobs for one in (*job.ancestors(), job)}.values())


@pytest.mark.parametrize("num_workers", [2, 1])  # the other job's worker goes on; a new one runs the other job
def test_a_killed_worker_fails_its_job_alone_and_says_how(bench, long, other, log, num_workers):
    def progressed(job, *_):
        if job.id == long.id and log.reasons.get(long.id) is None:
            os.kill(attempts(bench.folder(long))[-1]["pid"], signal.SIGKILL)

    watcher = Watcher(log.watcher.started, progressed, log.watcher.elsewhere, log.watcher.ended)
    outcomes = run_plan(plan_of(long, other), Store(bench.store), EAGER, watcher, num_workers)
    assert (outcomes.by_id[long.id], outcomes.by_id[other.id]) == ("failed", "done")
    reason = "its worker process was killed by SIGKILL (out of memory?)"
    assert log.reasons[long.id] == reason
    assert Statuses(Store(bench.store)).of(bench.folder(long)) == ("failed", reason)
    assert attempts(bench.folder(long))[-1]["outcome"] == "failed"


def run_alone(jobs, store):
    """A process of its own that runs a plan; its worker is a user's, of one thread as all here."""
    os.cpu_count = lambda: 1
    run_plan(jobs, Store(store), EAGER, NOBODY, 1)


def test_workers_save_and_end_with_a_run_that_is_killed(bench, other):
    folder = bench.folder(other)
    run_plan(plan_of(other), Store(bench.store), EAGER, NOBODY, 1)
    kept = bench.set_aside(other, "undisturbed")
    run = FORKS.Process(target=run_alone, args=(plan_of(other), bench.store))
    run.start()
    try:
        wait_until(lambda: last_step(folder) >= 20)
        worker = attempts(folder)[-1]["pid"]
    finally:
        run.kill()
    wait_until(lambda: process_start(worker) is None)
    assert attempts(folder)[-1]["outcome"] == "stopped" and attempts(folder)[-1]["stopped_by"] == "SIGTERM"
    outcomes = run_plan(plan_of(other), Store(bench.store), EAGER, NOBODY, 1)
    assert outcomes.by_id[other.id] == "done"
    assert metrics(folder) == metrics(kept)
    assert (folder / "encoder.safetensors").read_bytes() == (kept / "encoder.safetensors").read_bytes()


@pytest.mark.parametrize("ends", ["done", "killed"])
def test_a_second_run_on_a_store_waits_for_what_the_first_runs(bench, other, log, monkeypatch, ends):
    """It runs the job itself if the first run is killed."""
    monkeypatch.setattr(local, "LOOK_EVERY", 0.2)
    first, said = start_elsewhere(bench, other), []

    def elsewhere(job, by_whom):
        said.append((job.id, by_whom))
        if ends == "killed":
            first.process.kill()

    watcher = Watcher(log.watcher.started, log.watcher.progressed, elsewhere, log.watcher.ended)
    outcomes = run_plan(plan_of(other), Store(bench.store), EAGER, watcher, 1)
    first.wait()
    ((job_id, by_whom),) = said
    assert job_id == other.id
    assert by_whom.startswith(f"already running: {getpass.getuser()} since 20"), by_whom
    assert by_whom.endswith(f"(process {first.process.pid} on {os.uname().nodename})")
    assert outcomes.by_id[other.id] == "done"
    assert len({line["pid"] for line in attempts(bench.folder(other))}) == (1 if ends == "done" else 2)
    assert read(bench.folder(other) / "result.json")["metrics"]


def test_ctrl_c_ends_the_wait_alone(bench, long, log):
    """The other process goes on."""
    first = start_elsewhere(bench, long)
    watcher = Watcher(log.watcher.started, lambda *_: None, lambda *_: signal.raise_signal(2), log.watcher.ended)
    outcomes = run_plan(plan_of(long), Store(bench.store), EAGER, watcher, 1)
    assert outcomes.by_id[long.id] == "blocked" and log.reasons[long.id] == "the run was stopped"
    assert first.running and attempts(bench.folder(long))[-1].get("outcome") is None
    os.kill(first.process.pid, signal.SIGTERM)
    assert first.wait() == 1 and attempts(bench.folder(long))[-1]["outcome"] == "stopped"
