"""States out of records, a queue snapshot, and a scheduler's account of an end. The scheduler is called `pile`."""

import json
import os
import time

import pytest
import torch

from caebench.execution.recording import in_words
from caebench.files.atomic import write_json
from caebench.files.layout import LEASE
from caebench.store.holders import HolderId
from caebench.store.lease import mark_cancelled
from caebench.store.queue import Ending, QueuedJob, QueueSnapshot
from caebench.store.state import Statuses
from caebench.store.store import Store

CHECKPOINT = "; resumes from its checkpoint"
CANCELLED = Ending("cancelled")
ENCODER = {"kind": "random_encoder", "variant": "vit_b", "image_size": 224}


def make(store, name, job_id=None, *inputs, attempts=(), **lease):
    folder = store / "pretrain" / name
    folder.mkdir(parents=True)
    write_json(
        folder / "job.json",
        {"id": "", "kind": "pretrain", "config": ENCODER, "inputs": {one: f"pretrain/{one}" for one in inputs}},
    )
    if job_id:
        write_json(folder / LEASE, {"scheduler": "pile", "scheduler_id": job_id, **lease})
    (folder / "attempts.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in attempts))
    return folder


def snapshot(jobs=None, ends=None):
    return QueueSnapshot("pile", "PILE", 0.0, jobs or {}, ends or {})


def status(folder, found=None):
    return Statuses(Store(folder.parents[1]), {found.scheduler: found} if found else {}).of(folder)


def pending(reason, can_never_start=False):
    return QueuedJob("pending", reason, 0.0, 3600.0, "", can_never_start)


RUNS = QueuedJob("running", "", 60.0, 3600.0, "n1")
BEGUN = {"begins": "today", "scheduler": "pile", "scheduler_id": "7"}
STOPPED = {**BEGUN, "stopped_by": "SIGTERM"}
TIME_IS_UP = Ending("stopped", "its time was up")
DIED = Ending("exited", "its process died")


@pytest.mark.parametrize(
    ("end", "attempt", "expected"),
    [
        (TIME_IS_UP, BEGUN, ("lost", "its time was up")),
        (TIME_IS_UP, STOPPED, ("lost", "its time was up")),
        (DIED, BEGUN, ("lost", "its process died")),
        (DIED, STOPPED, ("lost", "stopped by SIGTERM, and not requeued")),
        (CANCELLED, STOPPED, ("cancelled", "cancelled")),
        (None, BEGUN, ("lost", "left the queue without a word")),
        (None, STOPPED, ("cancelled", "cancelled or preempted; PILE has no account of which")),
    ],
)
@pytest.mark.parametrize("saved", ["", CHECKPOINT])
def test_an_end_without_a_result_is_told_in_words(tmp_path, end, attempt, expected, saved):
    folder = make(tmp_path, "a", "7", attempts=[attempt])
    if saved:
        (folder / "checkpoints").mkdir()
    assert status(folder, snapshot(ends={"7": end} if end else {})) == (expected[0], expected[1] + saved)


def test_our_own_cancel_needs_no_accounting(tmp_path):
    folder = make(tmp_path, "a", "7")
    assert status(folder, snapshot()) == ("lost", "left the queue without a word")
    mark_cancelled(folder, HolderId("pile", "6"))  # of an earlier submission
    mark_cancelled(folder, HolderId("heap", "7"))  # of another scheduler
    assert status(folder, snapshot())[0] == "lost"
    mark_cancelled(folder, HolderId("pile", "7"))
    assert status(folder, snapshot()) == ("cancelled", "cancelled before it started")


@pytest.mark.parametrize(
    ("queued", "expected"),
    [
        (RUNS, ("running", "")),
        (pending("Priority"), ("queued", "Priority")),
        (RUNS._replace(stalled="suspended"), ("suspended", "")),
        (pending("JobHeldUser")._replace(stalled="held"), ("held", "JobHeldUser")),
        (pending("DependencyNeverSatisfied", can_never_start=True), ("blocked", "a job that it waited for is gone")),
    ],
)
def test_the_queue_is_believed_before_accounting(tmp_path, queued, expected):
    """SLURM's sacct says NODE_FAIL for seconds before a requeue."""
    folder = make(tmp_path, "a", "7", attempts=[BEGUN])
    assert status(folder, snapshot({"7": queued}, {"7": DIED})) == expected


def test_a_scheduler_that_was_not_asked_leaves_a_job_running(tmp_path):
    folder = make(tmp_path, "a", "7")
    other = QueueSnapshot("heap", "HEAP", 0.0, {"7": pending("Priority")})
    assert status(folder) == status(folder, other) == ("running", "")


@pytest.mark.parametrize("broken", ["failed", "lost"])
def test_what_depends_on_a_break_is_blocked_to_the_last_and_a_result_stands(tmp_path, broken):
    first = make(tmp_path, "a", "7" if broken == "lost" else None, attempts=[BEGUN])
    if broken == "failed":
        write_json(first / "failure.json", {"error": "ValueError: no"})
    second, third = make(tmp_path, "b", "8", "a"), make(tmp_path, "c", "9", "b")
    found = snapshot(ends={"7": DIED, "8": CANCELLED, "9": CANCELLED})
    assert status(first, found)[0] == broken
    assert status(second, found) == ("blocked", f"depends on pretrain/a ({broken})")
    assert status(third, found) == ("blocked", "depends on pretrain/b (blocked)")
    write_json(third / "result.json", {})
    assert status(third, found) == ("done", "")


def test_what_depends_on_a_cancelled_job_is_cancelled_too(tmp_path):
    make(tmp_path, "a", "7", attempts=[BEGUN])
    second = make(tmp_path, "b", "8", "a")
    found = snapshot(ends={"7": CANCELLED, "8": CANCELLED})
    assert status(second, found) == ("cancelled", "cancelled before it started")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("no"),
        torch.OutOfMemoryError("no"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to"),
        RuntimeError("NCCL error: CUDA out of memory"),
    ],
)
def test_the_errors_of_memory_are_one(error):
    assert in_words(error).startswith("out of memory: lower per_device_batch")
    assert in_words(ValueError("memory")) == "ValueError: memory"


def test_a_job_of_a_pack_is_queued_until_its_turn_comes(tmp_path):
    """Even if the pack was quicker than who wrote its id into the lease."""
    found = snapshot({"7": RUNS})
    waiting = make(tmp_path, "a", "7", purpose="pack")
    assert status(waiting, found) == ("queued", "in PILE job 7, which runs others first")
    assert status(make(tmp_path, "b", "7", attempts=[BEGUN], purpose="pack"), found) == ("running", "")
    earlier = make(tmp_path, "c", "7", attempts=[{**BEGUN, "scheduler_id": "6"}], purpose="pack")
    assert status(earlier, found)[0] == "queued"


@pytest.mark.parametrize(
    ("lease", "beat", "expected"),
    [
        ({}, 1e6, ("queued", "queued by ann since noon (pile job 7)")),
        ({"stale_after": 900.0}, 890, ("running", "already running: ann since noon (pile job 7), with its last")),
        ({"stale_after": 900.0}, 910, ("lost", "left the queue without a word")),
    ],
)
def test_what_a_queue_hides_of_another_user_is_not_lost(tmp_path, lease, beat, expected):
    folder = make(tmp_path, "a", "7", attempts=[BEGUN], user="ann", time="noon", **lease)
    os.utime(folder / LEASE, (time.time() - beat,) * 2)
    found = QueueSnapshot("pile", "PILE", time.time())
    state, reason = status(folder, found)
    assert state == expected[0] and reason.startswith(expected[1])
    ended = QueueSnapshot("pile", "PILE", time.time(), {}, {"7": TIME_IS_UP})
    assert status(folder, ended) == ("lost", "its time was up"), "accounting shows it"
