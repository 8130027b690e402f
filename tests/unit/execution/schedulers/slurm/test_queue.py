"""SLURM's words, and what is made of them."""

import json
import os

import pytest

from caebench.execution.schedulers.base import SchedulerSilent
from caebench.execution.schedulers.slurm import queue
from caebench.execution.schedulers.slurm.answers import ENDS, expand, seconds_in
from caebench.execution.schedulers.slurm.queue import cause, query, requeue
from caebench.files.atomic import write_json
from caebench.files.layout import LEASE
from caebench.store.state import Statuses
from caebench.store.store import Store

BEGUN = {"begins": "today", "scheduler": "slurm", "scheduler_id": "7"}
STOPPED = {**BEGUN, "stopped_by": "SIGTERM"}


@pytest.fixture
def answer(tmp_path, monkeypatch):
    """Puts SLURM's commands on the path: each prints what it is given."""

    def put(**printed):
        for name, text in printed.items():
            (tmp_path / f"{name}.txt").write_text(text, encoding="utf8")
            command = tmp_path / "bin" / name
            command.parent.mkdir(exist_ok=True)
            command.write_text(f"#!/bin/sh\ncat {tmp_path}/{name}.txt\n", encoding="utf8")
            command.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)

    return put


@pytest.fixture
def status(tmp_path, answer):
    """The state of a job with the lease of SLURM job 7, by what SLURM's commands answer."""

    def find(squeue="", sacct="", attempt=BEGUN):
        answer(squeue=squeue, sacct=f"7|{sacct}\n" if sacct else "", scontrol="No jobs in the system\n")
        folder = tmp_path / "pretrain" / "a"
        folder.mkdir(parents=True)
        write_json(folder / LEASE, {"scheduler": "slurm", "scheduler_id": "7"})
        (folder / "attempts.jsonl").write_text(f"{json.dumps(attempt)}\n")
        return Statuses(Store(tmp_path), {"slurm": query({"me"}, {"7"})}).of(folder)

    return find


@pytest.mark.parametrize(
    ("word", "attempt", "expected"),
    [
        ("OUT_OF_MEMORY", BEGUN, ("lost", "out of memory: give it more memory_gb, or lower per_device_batch")),
        ("FAILED", BEGUN, ("lost", "its process died without a word: killed, or never started")),
        ("NODE_FAIL", BEGUN, ("lost", "its node failed, and it was not requeued")),
        ("TIMEOUT", BEGUN, ("lost", "its time was up")),
        ("PREEMPTED", STOPPED, ("lost", "preempted, and not requeued")),
        ("FAILED", STOPPED, ("lost", "stopped by SIGTERM, and not requeued")),
        ("CANCELLED", STOPPED, ("cancelled", "cancelled")),
        ("UNKNOWN", BEGUN, ("lost", "left the queue without a word")),
        ("", BEGUN, ("lost", "left the queue without a word")),
        ("", STOPPED, ("cancelled", "cancelled or preempted; SLURM has no account of which")),
    ],
)
def test_slurms_end_states_are_translated_to_ours(status, word, attempt, expected):
    assert status(sacct=word, attempt=attempt) == expected


@pytest.mark.parametrize(
    ("state", "reason", "expected"),
    [
        ("RUNNING", "None", ("running", "")),
        ("COMPLETING", "None", ("running", "")),
        ("PENDING", "Priority", ("queued", "Priority")),
        ("REQUEUED", "BeginTime", ("queued", "BeginTime")),
        ("PENDING", "DependencyNeverSatisfied", ("blocked", "a job that it waited for is gone")),
        ("FAILED", "NonZeroExitCode", ("lost", "its node failed, and it was not requeued")),
    ],
)
def test_squeues_states_are_translated_to_ours(status, state, reason, expected):
    assert (
        status(squeue=f"7|{state}|{reason}|0:01|1:00|n1\n8|RUNNING|None|0:01|1:00|n1\n", sacct="NODE_FAIL") == expected
    )


def test_tasks_of_an_array_in_one_line_are_split():
    assert expand("12") == ["12"] and expand("12_3") == ["12_3"]
    assert expand("12_[3,5-7%2]") == ["12_3", "12_5", "12_6", "12_7"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2-12:00:30", 216_030),
        ("12:00:00", 43_200),
        ("30:00", 1800),
        ("45", 45),
        ("UNLIMITED", None),
        ("infinite", None),
    ],
)
def test_times_in_slurms_words(text, seconds):
    assert seconds_in(text) == seconds


def test_inside_a_job_a_silent_controller_is_asked_again(fake_slurm, in_job):
    fake_slurm.put_failing("scontrol", 3, 'echo "JobId=7 JobState=RUNNING PreemptTime=None"')
    assert cause("7", warned=True) == "time limit" and len(fake_slurm.calls("scontrol")) == 4


def test_a_requeue_is_asked_for_again_also_after_a_signal(fake_slurm, in_job):
    fake_slurm.put_failing(
        "scontrol", 2, 'if [ $(wc -l < "$0.killed" || echo 0) -lt 2 ]; then echo >> "$0.killed"; kill $$; fi'
    )
    requeue("7")
    assert fake_slurm.calls("scontrol") == ["requeue 7"] * 5


def test_a_controller_that_stays_silent_is_named_in_the_end(fake_slurm, in_job, monkeypatch):
    monkeypatch.setattr(queue, "PATIENCE", 0.1)
    fake_slurm.put_failing("scontrol", 1000, "", "Unable to contact slurm controller")
    with pytest.raises(SchedulerSilent, match=r"scontrol: scontrol: error: Unable to contact slurm controller\. "):
        requeue("7")
    assert len(fake_slurm.calls("scontrol")) > 2


def test_a_call_without_an_answer_ends(fake_slurm, monkeypatch):
    monkeypatch.setattr(queue, "CALL_LIMIT", 0.2)
    fake_slurm.put(squeue="exec sleep 60")
    with pytest.raises(SchedulerSilent, match=r"squeue: no answer within 0\.2 s"):
        queue.queued_jobs()


def test_a_command_that_is_not_installed_is_not_asked_again(in_job, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="scontrol: not installed on this machine") as caught:
        requeue("7")
    assert not isinstance(caught.value, SchedulerSilent)


def test_a_job_asks_for_the_ids_that_it_names_only(fake_slurm, in_job):
    fake_slurm.put_failing("squeue", 2, 'echo "7|RUNNING|None|0:01|1:00|n1"')
    assert set(queue.queued_among({"9_1"}, "7")) == {"7"}
    assert [call.partition("--jobs ")[2] for call in fake_slurm.calls("squeue")] == ["7,9_1"] * 3


def test_a_users_filters_of_squeue_hide_no_job(fake_slurm, monkeypatch):
    monkeypatch.setenv("SQUEUE_STATES", "RUNNING")
    fake_slurm.put(squeue='echo "7|PENDING|states=$SQUEUE_STATES|0:00|1:00|"')
    assert queue.queued_jobs()["7"].reason == "states="


@pytest.mark.parametrize(
    ("state", "reason", "stalled"),
    [
        ("SUSPENDED", "None", "suspended"),
        ("STOPPED", "None", "suspended"),
        ("PENDING", "JobHeldUser", "held"),
        ("PENDING", "JobHeldAdmin", "held"),
        ("REQUEUE_HOLD", "None", "held"),
        ("SPECIAL_EXIT", "None", "held"),
        ("PENDING", "Priority", None),
        ("RUNNING", "None", None),
    ],
)
def test_held_and_suspended_jobs_are_told_apart(fake_slurm, state, reason, stalled):
    fake_slurm.put(squeue=f'echo "7|{state}|{reason}|0:01|1:00|n1"')
    assert queue.queued_jobs()["7"].stalled == stalled


def test_a_process_that_ran_out_of_memory_counts_for_its_job(fake_slurm):
    lines = ["7|FAILED", "7.batch|FAILED", "7.0|OUT_OF_MEMORY", "8_1|FAILED", "8_1.0|FAILED"]
    fake_slurm.put(squeue="", sacct="\n".join(f"echo '{line}'" for line in lines))
    words = {job_id: end.words for job_id, end in query({"me"}, {"7", "8_1"}).ends.items()}
    assert words == {"7": ENDS["OUT_OF_MEMORY"].words, "8_1": ENDS["FAILED"].words}
