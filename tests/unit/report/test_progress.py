"""The facts of a job's folder: hours, slices, expected end, and the last lines of one that came to a bad end."""

import json
import os
import time
from datetime import UTC, datetime

import pytest

from caebench.execution.schedulers.registry import log_files
from caebench.files.atomic import now, read_json, write_json
from caebench.files.layout import LEASE
from caebench.report.progress import folder_facts
from caebench.specs.slurm import Slurm
from caebench.store.queue import Ending, QueuedJob, QueueSnapshot
from caebench.store.state import Statuses
from caebench.store.store import Store

ENCODER = {"kind": "random_encoder", "variant": "vit_b", "image_size": 224}
CONFIG = {"optimization": {"epochs": 100}, "data": {"kind": "real", "name": "clipart"}}
DAY = 86_400.0
RUNS = QueueSnapshot("slurm", "SLURM", jobs={"7": QueuedJob("running", "None", 1800.0, DAY, "n1")})
HOLDER = {"scheduler": "slurm", "scheduler_id": "7"}


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "pretrain" / "a-0123456789"
    folder.mkdir(parents=True)
    write_json(
        folder / "job.json",
        {"id": "0123456789", "kind": "pretrain", "config": CONFIG, "inputs": {}, "gpu_hours": 400.0},
    )
    return folder


def facts_of(folder, snapshot=None, section=None):
    statuses = Statuses(Store(folder.parents[1]), {snapshot.scheduler: snapshot} if snapshot else {})
    return folder_facts(folder, statuses, log_files, section)


def begin(folder, hours_ago, **facts):
    moment = datetime.fromtimestamp(time.time() - 3600 * hours_ago, UTC).isoformat(timespec="seconds")
    write_json(folder / LEASE, HOLDER)
    (folder / "attempts.jsonl").write_text(json.dumps({"begins": moment, **HOLDER, "processes": 8, **facts}) + "\n")


def log(folder, epoch, speed):
    line = {"step": 1, "epoch": epoch, "images_per_second": speed, "loss": 2.5}
    (folder / "metrics.jsonl").write_text(json.dumps(line) + "\n")


def test_a_job_that_runs_is_foreseen_by_its_own_speed(folder):
    begin(folder, hours_ago=0.5)
    log(folder, 10.0, 33_525 / 3600)  # an epoch an hour
    facts = facts_of(folder, RUNS)
    assert (facts["scheduler"], facts["scheduler_id"]) == ("slurm", "7")
    assert facts["state"] == "running" and facts["detail"] == "loss 2.5" and facts["share"] == 0.1
    assert facts["hours_used"] == pytest.approx(8 * 0.5, abs=0.01)
    assert facts["hours_left"] == pytest.approx(8 * 90, abs=0.01)
    assert (facts["slices"], facts["num_slices"]) == (1, 4)  # 23.5 hours of this one, 66.5 in three more
    ends = datetime.fromisoformat(facts["expected_end"]).timestamp()
    assert ends == pytest.approx(time.time() + 90 * 3600, abs=5)


def test_a_job_that_waits_is_foreseen_by_its_plan(folder):
    write_json(folder / LEASE, HOLDER)
    snapshot = QueueSnapshot("slurm", "SLURM", jobs={"7": QueuedJob("pending", "Dependency", 0.0, DAY, "")})
    facts = facts_of(folder, snapshot, Slurm(gpus_per_node=8))
    assert facts["state"] == "queued" and facts["hours_left"] == 400.0 and facts["hours_used"] == 0
    assert (facts["slices"], facts["num_slices"], facts["expected_end"]) == (0, 3, None)  # 50 hours of 8 GPUs


def test_a_job_that_is_done_has_nothing_left(folder):
    write_json(folder / "job.json", {**read_json(folder / "job.json"), "config": ENCODER})
    write_json(folder / "result.json", {"metrics": {"top1": 70.0}})
    log(folder, 100, 10)
    facts = facts_of(folder)
    assert (facts["detail"], facts["hours_left"], facts["expected_end"]) == ("top1 70", 0, None)


def test_a_job_without_a_word_shows_the_end_of_its_newest_log(folder, tmp_path):
    begin(folder, hours_ago=1.0)
    logs = tmp_path / "slurm"
    logs.mkdir()
    (logs / "7_0_log.out").write_text("started\n")
    (logs / "7_0_log.err").write_text("one\n\ntwo\nthree\nslurmstepd: error: killed\n\n")
    os.utime(logs / "7_0_log.out", (1, 1))
    facts = facts_of(folder, QueueSnapshot("slurm", "SLURM", ends={"7": Ending("exited", "its process died")}))
    assert facts["state"] == "lost" and facts["log"] == ["two", "three", "slurmstepd: error: killed"]


def test_a_failure_without_a_log_shows_the_end_of_its_trace(folder):
    write_json(folder / "failure.json", {"error": "ValueError: no", "trace": "a\nb\nc\nd\n", "time": now()})
    facts = facts_of(folder)
    assert (facts["state"], facts["detail"], facts["log"]) == ("failed", "ValueError: no", ["b", "c", "d"])


@pytest.mark.parametrize("stalled", ["held", "suspended"])
def test_a_stalled_job_has_a_state_of_its_own(folder, stalled):
    write_json(folder / LEASE, HOLDER)
    state = "pending" if stalled == "held" else "running"
    job = QueuedJob(state, "JobHeldUser" if stalled == "held" else "None", 0.0, DAY, "", stalled=stalled)
    facts = facts_of(folder, QueueSnapshot("slurm", "SLURM", jobs={"7": job}))
    assert (facts["state"], facts["detail"]) == (stalled, "JobHeldUser" if stalled == "held" else "")
    assert facts["expected_end"] is None


def test_the_schedulers_word_on_a_failure_comes_before_the_jobs_own(folder):
    """A process was killed, and another one wrote that it had lost the connection; the lease is given back."""
    begin(folder, hours_ago=1)
    (folder / LEASE).unlink()
    write_json(folder / "failure.json", {"error": "RuntimeError: connection reset by peer"})
    ended = QueueSnapshot("slurm", "SLURM", ends={"7": Ending("stopped", "out of memory: give it more memory_gb")})
    said = "out of memory: give it more memory_gb (RuntimeError: connection reset by peer)"
    assert facts_of(folder, ended)["detail"] == said
    ended = QueueSnapshot("slurm", "SLURM", ends={"7": Ending("exited", "its process died")})
    assert facts_of(folder, ended)["detail"] == "RuntimeError: connection reset by peer"


def test_a_job_that_never_began_shows_its_log(folder):
    write_json(folder / LEASE, HOLDER)
    path = folder.parents[1] / "slurm" / "7_0_log.err"
    path.parent.mkdir()
    path.write_text("bash: python3.99: command not found\n")
    facts = facts_of(folder, QueueSnapshot("slurm", "SLURM", ends={"7": Ending("exited", "its process died")}))
    assert (facts["state"], facts["log"]) == ("lost", ["bash: python3.99: command not found"])
