"""States out of records, one look at the queue, and SLURM's words for an end."""

import json

import pytest
import torch

from caebench.execution.queue import expand
from caebench.execution.worker import in_words
from caebench.plan.files import write_json
from caebench.plan.lease import LEASE, mark_cancelled
from caebench.plan.standing import Queue, Queued, standing

CHECKPOINT = "; goes on from its checkpoint"


def make(store, name, *inputs, attempts=(), **lease):
    folder = store / "pretrain" / name
    folder.mkdir(parents=True)
    write_json(folder / "job.json", {"inputs": {one: f"pretrain/{one}" for one in inputs}})
    if lease:
        write_json(folder / LEASE, lease)
    (folder / "attempts.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in attempts))
    return folder


def ended(word):
    return Queue({}, {"7": word} if word else {})


BEGUN = {"begins": "today", "slurm": "7"}
STOPPED = {**BEGUN, "stopped_by": "SIGTERM"}


@pytest.mark.parametrize(
    ("word", "attempt", "expected"),
    [
        ("OUT_OF_MEMORY", BEGUN, ("lost", "out of memory: give it more memory_gb, or lower per_device_batch")),
        ("FAILED", BEGUN, ("lost", "its process died without a word: killed, or never started; see `caebench logs`")),
        ("NODE_FAIL", BEGUN, ("lost", "its node failed, and it was not requeued")),
        ("TIMEOUT", BEGUN, ("lost", "its time was up")),
        ("PREEMPTED", STOPPED, ("lost", "preempted, and not requeued")),
        ("FAILED", STOPPED, ("lost", "stopped by SIGTERM, and not requeued")),
        ("CANCELLED", STOPPED, ("cancelled", "cancelled")),
        ("UNKNOWN", BEGUN, ("lost", "left the queue without a word")),
        (None, BEGUN, ("lost", "left the queue without a word")),
        (None, STOPPED, ("cancelled", "cancelled or preempted; SLURM has no account of which")),
    ],
)
@pytest.mark.parametrize("saved", ["", CHECKPOINT])
def test_an_end_without_a_result_is_told_in_words(tmp_path, word, attempt, expected, saved):
    folder = make(tmp_path, "a", attempts=[attempt], slurm="7")
    if saved:
        (folder / "checkpoints").mkdir()
    assert standing(folder, ended(word)) == (expected[0], expected[1] + saved)


def test_our_own_cancel_needs_no_accounting(tmp_path):
    folder = make(tmp_path, "a", slurm="7")
    assert standing(folder, ended(None)) == ("lost", "left the queue without a word")
    mark_cancelled(folder, "6")  # of an earlier submission
    assert standing(folder, ended(None))[0] == "lost"
    mark_cancelled(folder, "7")
    assert standing(folder, ended(None)) == ("cancelled", "cancelled before it started")


@pytest.mark.parametrize(
    ("state", "reason", "expected"),
    [
        ("RUNNING", "None", ("running", "")),
        ("COMPLETING", "None", ("running", "")),
        ("PENDING", "Priority", ("queued", "Priority")),
        ("REQUEUED", "BeginTime", ("queued", "BeginTime")),
        ("PENDING", "DependencyNeverSatisfied", ("blocked", "what it waited for is gone")),
    ],
)
def test_the_queue_is_believed_before_accounting(tmp_path, state, reason, expected):
    """sacct says NODE_FAIL for seconds before a requeue."""
    folder = make(tmp_path, "a", attempts=[BEGUN], slurm="7")
    queue = Queue({"7": Queued(state, reason, "0:01", "1:00", "n1")}, {"7": "NODE_FAIL"})
    assert standing(folder, queue) == expected


@pytest.mark.parametrize("broken", ["failed", "lost"])
def test_what_rests_on_a_break_is_blocked_to_the_last_and_a_result_stands(tmp_path, broken):
    first = make(tmp_path, "a", attempts=[BEGUN], **({"slurm": "7"} if broken == "lost" else {}))
    if broken == "failed":
        write_json(first / "failure.json", {"error": "ValueError: no"})
    second, third = make(tmp_path, "b", "a", slurm="8"), make(tmp_path, "c", "b", slurm="9")
    queue = Queue({}, {"7": "FAILED", "8": "CANCELLED", "9": "CANCELLED"})
    assert standing(first, queue)[0] == broken
    assert standing(second, queue) == ("blocked", f"rests on pretrain/a ({broken})")
    assert standing(third, queue) == ("blocked", "rests on pretrain/b (blocked)")
    write_json(third / "result.json", {})
    assert standing(third, queue) == ("done", "")


def test_what_rests_on_a_cancelled_job_is_cancelled_too(tmp_path):
    make(tmp_path, "a", attempts=[BEGUN], slurm="7")
    second = make(tmp_path, "b", "a", slurm="8")
    queue = Queue({}, {"7": "CANCELLED", "8": "CANCELLED"})
    assert standing(second, queue) == ("cancelled", "cancelled before it started")


def test_tasks_of_an_array_in_one_line_are_told_apart():
    assert expand("12") == ["12"] and expand("12_3") == ["12_3"]
    assert expand("12_[3,5-7%2]") == ["12_3", "12_5", "12_6", "12_7"]


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
    queue = Queue({"7": Queued("RUNNING", "None", "1:00", "1:00:00", "n1")})
    waiting = make(tmp_path, "a", slurm="7", purpose="pack")
    assert standing(waiting, queue) == ("queued", "in SLURM job 7, which runs others first")
    assert standing(make(tmp_path, "b", attempts=[BEGUN], slurm="7", purpose="pack"), queue) == ("running", "")
    earlier = make(tmp_path, "c", attempts=[{**BEGUN, "slurm": "6"}], slurm="7", purpose="pack")
    assert standing(earlier, queue)[0] == "queued"
