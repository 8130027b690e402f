"""The facts of a job's folder: hours, slices, expected end, and the last words of one that came to a bad end."""

import json
import os
import time
from datetime import UTC, datetime

import pytest

from caebench.config.site import Slurm
from caebench.plan.files import now, write_json
from caebench.plan.lease import LEASE
from caebench.plan.standing import Queue, Queued, slurm_seconds
from caebench.report.progress import folder_facts

CONFIG = {"optimization": {"epochs": 100}, "data": {"kind": "real", "name": "clipart"}}
RUNS = Queue({"7": Queued("RUNNING", "None", "30:00", "1-00:00:00", "n1")})


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "pretrain" / "a-0123456789"
    folder.mkdir(parents=True)
    write_json(folder / "job.json", {"kind": "pretrain", "config": CONFIG, "inputs": {}, "gpu_hours": 400.0})
    return folder


def begin(folder, hours_ago, **facts):
    moment = datetime.fromtimestamp(time.time() - 3600 * hours_ago, UTC).isoformat(timespec="seconds")
    write_json(folder / LEASE, {"slurm": "7"})
    (folder / "attempts.jsonl").write_text(json.dumps({"begins": moment, "slurm": "7", "processes": 8, **facts}) + "\n")


def log(folder, epoch, speed):
    line = {"step": 1, "epoch": epoch, "images_per_second": speed, "loss": 2.5}
    (folder / "metrics.jsonl").write_text(json.dumps(line) + "\n")


def test_a_job_that_runs_is_foreseen_by_its_own_speed(folder):
    begin(folder, hours_ago=0.5)
    log(folder, 10.0, 33_525 / 3600)  # an epoch an hour
    facts = folder_facts(folder, RUNS)
    assert facts["state"] == "running" and facts["detail"] == "loss 2.5" and facts["share"] == 0.1
    assert facts["hours_used"] == pytest.approx(8 * 0.5, abs=0.01)
    assert facts["hours_left"] == pytest.approx(8 * 90, abs=0.01)
    assert (facts["slices"], facts["num_slices"]) == (1, 4)  # 23.5 hours of this one, 66.5 in three more
    ends = datetime.fromisoformat(facts["expected_end"]).timestamp()
    assert ends == pytest.approx(time.time() + 90 * 3600, abs=5)


def test_a_job_that_waits_is_foreseen_by_its_plan(folder):
    write_json(folder / LEASE, {"slurm": "7"})
    queue = Queue({"7": Queued("PENDING", "Dependency", "0:00", "1-00:00:00", "")})
    facts = folder_facts(folder, queue, Slurm(gpus_per_node=8))
    assert facts["state"] == "queued" and facts["hours_left"] == 400.0 and facts["hours_used"] == 0
    assert (facts["slices"], facts["num_slices"], facts["expected_end"]) == (0, 3, None)  # 50 hours of 8 GPUs


def test_a_job_that_is_done_has_nothing_left(folder):
    write_json(folder / "result.json", {"metrics": {"top1": 70.0}})
    log(folder, 100, 10)
    facts = folder_facts(folder)
    assert (facts["detail"], facts["hours_left"], facts["expected_end"]) == ("top1 70", 0, None)


def test_a_job_without_a_word_shows_the_end_of_its_newest_log(folder, tmp_path):
    begin(folder, hours_ago=1.0)
    logs = tmp_path / "slurm"
    logs.mkdir()
    (logs / "7_0_log.out").write_text("started\n")
    (logs / "7_0_log.err").write_text("one\n\ntwo\nthree\nslurmstepd: error: killed\n\n")
    os.utime(logs / "7_0_log.out", (1, 1))
    facts = folder_facts(folder, Queue({}, {"7": "FAILED"}))
    assert facts["state"] == "lost" and facts["log"] == ["two", "three", "slurmstepd: error: killed"]


def test_a_failure_without_a_log_shows_the_end_of_its_trace(folder):
    write_json(folder / "failure.json", {"error": "ValueError: no", "trace": "a\nb\nc\nd\n", "time": now()})
    facts = folder_facts(folder)
    assert (facts["state"], facts["detail"], facts["log"]) == ("failed", "ValueError: no", ["b", "c", "d"])


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
    assert slurm_seconds(text) == seconds
