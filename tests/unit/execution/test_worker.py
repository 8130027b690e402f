"""The worker holds its job's lease while it runs, and leaves the folder alone once another holder has it."""

import json
import logging
import time

import pytest
import torch

from caebench import stages
from caebench.execution.schedulers.base import SchedulerJob
from caebench.execution.worker import run_job, run_jobs
from caebench.files.atomic import read_json, write_json
from caebench.files.layout import (
    ATTEMPTS,
    CHECKPOINTS,
    ENCODER,
    FAILURE,
    HEARTBEAT,
    INPUTS,
    LEASE,
    PROVENANCE,
    RESULT,
)
from caebench.specs.evaluations.knn import knn
from caebench.specs.inputs.random_encoder import RandomEncoder
from caebench.specs.job import make_job
from caebench.specs.progress import no_progress
from caebench.specs.site import Site
from caebench.store.holders import HolderId, process_number
from caebench.store.lease import LeaseTaken
from caebench.store.queue import QueueSnapshot
from caebench.store.state import Statuses, attempts
from caebench.store.store import Store
from caebench.training import checkpoint
from caebench.training.distributed import Group
from caebench.training.signals import Interrupted

SITE = Site(device="cpu")
OTHERS = {"purpose": "run", "host": "n7", "pid": 1, "started": "1", "user": "ann", "time": "noon", "stale_after": 900.0}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


@pytest.fixture
def folder(store, tiny):
    return store.prepare(make_job(tiny.apply(RandomEncoder(kind="random_encoder", variant="vit_b", image_size=224))))


@pytest.fixture
def during(monkeypatch):
    """Have something happen at the start of the stage."""
    run_stages = stages.run_stages

    def happens(something):
        def run(found, ended):
            something()
            run_stages(found, ended)

        monkeypatch.setattr(stages, "run_stages", run)

    return happens


def beats(folder):
    """Whether there is a heartbeat soon."""
    end = time.monotonic() + 60
    while not (folder / HEARTBEAT).exists() and time.monotonic() < end:
        time.sleep(0.01)
    return (folder / HEARTBEAT).exists()


def test_a_running_job_has_a_lease_with_a_heartbeat_and_gives_both_back(store, folder, during):
    seen = []
    during(lambda: seen.append((beats(folder), read_json(folder / LEASE)["stale_after"])))
    site = SITE.replace(stale_after_minutes=2.0)
    assert run_job(folder, store.root, site) == "done"
    assert seen == [(True, 120.0)]
    assert not (folder / HEARTBEAT).exists() and not (folder / LEASE).exists()


def test_a_job_that_goes_back_to_the_queue_keeps_a_lease_without_a_heartbeat(store, folder, during):
    def stop():
        assert beats(folder)
        raise Interrupted("stopped", "SIGUSR2")

    during(stop)
    own = SchedulerJob(HolderId("slurm", "7"), QueueSnapshot("slurm", "SLURM", time.time()), "0")
    assert run_jobs({folder: no_progress}, store.root, SITE, own) == {folder: "stopped"}
    lease = read_json(folder / LEASE)
    assert (lease["scheduler_id"], lease["stale_after"]) == ("7", None) and not (folder / HEARTBEAT).exists()


def lose(folder):
    """Another takes the job over."""
    (folder / LEASE).write_text(json.dumps(OTHERS), encoding="utf8")


def test_an_orphan_writes_no_result_and_no_failure(store, folder, during, caplog):
    kept = {}

    def taken():
        lose(folder)
        kept.update({name: (folder / name).read_bytes() for name in (LEASE, ATTEMPTS, PROVENANCE)})

    during(taken)
    with caplog.at_level(logging.ERROR):
        assert run_job(folder, store.root, SITE) == "failed"
    assert f"{folder}: this process has lost its lease (ann since noon (process 1 on n7) has it)" in caplog.text
    for name in (RESULT, FAILURE, ENCODER):
        assert not (folder / name).exists(), name
    assert {name: (folder / name).read_bytes() for name in kept} == kept, "the new holder's files"


def test_an_orphan_that_fails_leaves_no_failure(store, folder, during, caplog):
    def taken():
        lose(folder)
        raise ValueError("no")

    during(taken)
    assert run_job(folder, store.root, SITE) == "failed"
    assert not (folder / FAILURE).exists() and "lost its lease" in caplog.text and "failed: no" in caplog.text


def test_an_orphan_writes_no_checkpoint(store, folder, during, caplog):
    def taken():
        lose(folder)
        checkpoint.write(folder, 7, {"step": 7})

    during(taken)
    assert run_job(folder, store.root, SITE) == "failed"
    assert list((folder / CHECKPOINTS).iterdir()) == [], "no part of one either"
    assert "lost its lease" in caplog.text and "disk full" not in caplog.text


# ---- processes of a group -------------------------------------------------------------------------------------------

OWN = SchedulerJob(HolderId("slurm", "7"), QueueSnapshot("slurm", "SLURM", 0.0), "0")
QUEUED = {"purpose": "run", "host": "login", "pid": 1, "started": "1", "scheduler": "slurm", "scheduler_id": "7"}


@pytest.fixture
def second(monkeypatch):
    """Have this process be the second of two, whose first one has a lease by then."""

    def joins(first):
        group = Group(rank=1, size=2, device=torch.device("cpu"))
        monkeypatch.setattr(Group, "any", lambda self, flags: flags)
        monkeypatch.setattr(Group, "of_first", lambda self, number: process_number(first))
        monkeypatch.setattr(stages, "join_group", lambda device: group)

    return joins


@pytest.mark.parametrize("next_holder", [None, OTHERS, {}])
def test_another_process_of_a_group_writes_a_failure_only_under_its_first_ones_lease(
    store, folder, during, second, caplog, next_holder
):
    first = {**QUEUED, "host": "n1", "pid": 4, "stale_after": 900.0}
    write_json(folder / LEASE, first)
    second(first)

    def fail():
        if next_holder is not None:
            (folder / LEASE).write_text(json.dumps(next_holder), encoding="utf8")
        raise ValueError("no")

    during(fail)
    assert run_jobs({folder: no_progress}, store.root, SITE, OWN) == {folder: "failed"}
    assert (folder / FAILURE).exists() == (next_holder is None)
    assert ("lost its lease" in caplog.text) == (next_holder is not None)


@pytest.fixture
def alone(monkeypatch):
    """Have this process find no group."""

    def fails(device):
        raise RuntimeError("timed out after 1801 s waiting for clients")

    monkeypatch.setattr(stages, "join_group", fails)


@pytest.mark.parametrize("own_job", [None, OWN])
def test_a_process_that_finds_no_group_leaves_a_failure_and_an_attempt(store, folder, alone, own_job):
    if own_job:
        write_json(folder / LEASE, QUEUED)
    write_json(folder / FAILURE, {"error": "of last week", "trace": ""})
    assert run_jobs({folder: no_progress}, store.root, SITE, own_job) == {folder: "failed"}
    assert Statuses(store).of(folder) == ("failed", "RuntimeError: timed out after 1801 s waiting for clients")
    (attempt,) = attempts(folder)
    assert attempt["outcome"] == "failed" and attempt["scheduler_id"] == ("7" if own_job else None)
    assert not (folder / LEASE).exists()


def test_a_process_that_finds_no_group_leaves_anothers_folder_alone(store, folder, alone, caplog):
    write_json(folder / LEASE, OTHERS)
    with pytest.raises(LeaseTaken):
        run_job(folder, store.root, SITE)
    assert not (folder / FAILURE).exists() and not (folder / ATTEMPTS).exists()


@pytest.mark.parametrize(("lease", "is_ours"), [(QUEUED, True), (None, True), (OTHERS, False)])
def test_the_second_process_may_be_the_first_to_find_no_group(store, folder, alone, monkeypatch, lease, is_ours):
    monkeypatch.setenv("RANK", "1")
    if lease:
        write_json(folder / LEASE, lease)
    assert run_jobs({folder: no_progress}, store.root, SITE, OWN) == {folder: "failed"}
    assert (folder / FAILURE).exists() == is_ours and not (folder / ATTEMPTS).exists()
    assert read_json(folder / LEASE) == lease if lease else not (folder / LEASE).exists()


# ---- which inputs were used -----------------------------------------------------------------------------------------


def make(store, job, finished):
    """The finished job of an input."""
    write_json(store.prepare(job) / RESULT, {"metrics": {}, "finished": finished})


@pytest.fixture
def probe(store, tiny):
    """A probe with a finished encoder and finished data."""
    encoder = make_job(tiny.apply(RandomEncoder(kind="random_encoder", variant="vit_b", image_size=224)))
    job = make_job(tiny.apply(knn()), encoder=encoder)
    for parent in job.inputs.values():
        make(store, parent, "monday")
    store.prepare(job)
    return job


@pytest.fixture
def work(monkeypatch):
    """What the stage does: something, then metrics."""

    def does(something=lambda: None):
        def run(found, ended):
            something()
            ended(0, {"top1": 1.0})

        monkeypatch.setattr(stages, "run_stages", run)

    return does


MONDAYS = {"encoder": "monday", "data": "monday"}


def test_a_result_names_the_inputs_that_the_job_began_with(store, probe, work):
    folder, encoder = store.folder(probe), probe.inputs["encoder"]

    def made_anew():
        assert read_json(folder / INPUTS) == MONDAYS
        make(store, encoder, "tuesday")

    work(made_anew)
    assert run_job(folder, store.root, SITE) == "done"
    assert read_json(folder / RESULT)["inputs_finished"] == MONDAYS and not (folder / INPUTS).exists()
    assert store.state(probe) == "todo"
    words = f"its encoder {encoder.name} has changed: finished tuesday, and monday when this job began"
    assert store.changed_input(folder) == words
    work()
    assert run_job(folder, store.root, SITE) == "done" and store.state(probe) == "done"
    assert read_json(folder / RESULT)["inputs_finished"] == {**MONDAYS, "encoder": "tuesday"}


def test_an_input_whose_result_is_gone_at_the_end_fails_nothing(store, probe, work):
    folder = store.folder(probe)
    work((store.folder(probe.inputs["data"]) / RESULT).unlink)
    assert run_job(folder, store.root, SITE) == "done"
    assert read_json(folder / RESULT)["inputs_finished"] == MONDAYS and store.state(probe) == "done"


def stop_with_a_checkpoint(folder):
    def stop():
        checkpoint.write(folder, 7, {"step": 7})
        raise Interrupted("stopped", "SIGTERM")

    return stop


@pytest.mark.parametrize("role", [None, "encoder", "data"])
def test_a_job_whose_input_changed_between_two_attempts_starts_again_and_says_so(store, probe, work, caplog, role):
    folder, kept = store.folder(probe), []
    work(stop_with_a_checkpoint(folder))
    assert run_job(folder, store.root, SITE) == "stopped"
    assert read_json(folder / INPUTS) == MONDAYS
    if role:
        make(store, probe.inputs[role], "tuesday")
    work(lambda: kept.extend(path.name for path in (folder / CHECKPOINTS).glob("*")))
    assert run_job(folder, store.root, SITE) == "done"
    assert kept == ([] if role else ["000000007.pt"])
    expected = {**MONDAYS, role: "tuesday"} if role else MONDAYS
    assert read_json(folder / RESULT)["inputs_finished"] == expected and store.state(probe) == "done"
    said = f"{probe.inputs[role].name} changed since an earlier attempt: it starts again from nothing" if role else None
    assert attempts(folder)[-1].get("started_again") == said and (said or "") in caplog.text


def test_an_input_that_is_to_do_again_is_not_used(store, probe, work):
    """The encoder was made of data that has changed since."""
    folder, encoder = store.folder(probe), store.folder(probe.inputs["encoder"])
    content = read_json(encoder / "job.json")
    write_json(encoder / "job.json", {**content, "inputs": {"data": probe.inputs["data"].name}})
    write_json(encoder / RESULT, {"metrics": {}, "finished": "monday", "inputs_finished": {"data": "sunday"}})
    work()
    assert run_job(folder, store.root, SITE) == "failed"
    error = read_json(folder / FAILURE)["error"]
    assert "input 'encoder'" in error and "finished monday, and sunday when this job began" in error
    assert f"caebench run job {probe.inputs['encoder'].id}" in error
