"""The table of `caebench status`."""

import json
import os
from datetime import datetime

import pytest

from caebench.cli import show_status
from caebench.files.layout import ATTEMPTS, JOB, LEASE, RESULT
from caebench.planning.graph import make_plan
from caebench.planning.setup import is_suite
from caebench.store.store import Store
from caebench.suites import loading as suites
from tests.golden.fake import fill

FACT = {
    "job": "pretrain/a-0123456789",
    "state": "todo",
    "detail": "",
    "progress": "",
    "share": None,
    "images_per_second": None,
    "slices": 0,
    "num_slices": None,
    "hours_used": 0.0,
    "hours_left": None,
    "expected_end": None,
    "log": [],
}
RUNNING = FACT | {
    "state": "running",
    "progress": "epoch 12.0 of 300",
    "share": 0.04,
    "images_per_second": 812.4,
    "slices": 2,
    "num_slices": 11,
    "hours_used": 16.0,
    "hours_left": 1840.26,
    "expected_end": "2031-05-06T12:00:00Z",
}


def table(*facts):
    header, rows = show_status.status_table(facts, {})
    return [head.name for head in header], rows


def test_columns_that_hold_nothing_are_left_out():
    header, rows = table(FACT, FACT | {"state": "failed", "detail": "ValueError: [x]", "log": ["a", "b"]})
    assert header == ["job", "state", "result or reason", "name"]
    assert str(rows[1][2]) == "ValueError: [x]\na\nb"


def test_an_error_of_several_lines_is_one_in_the_table():
    _, rows = table(FACT | {"state": "failed", "detail": "RuntimeError: a\n  b\r\n\tc\x1b[31m", "log": []})
    assert str(rows[0][2]) == "RuntimeError: a b c\\x1b[31m"


def test_a_job_that_runs_fills_every_column():
    header, (row,) = table(RUNNING)
    assert header == ["job", *(name for name in show_status.FACTS if name != "result or reason")]
    assert row[2:5] == ["epoch 12.0 of 300, 4 %", "812", "2 of 11"] and row[6:8] == ["16.0 h", "1,840 h"]
    assert row[5] in ("05 May 2031", "06 May 2031", "07 May 2031"), "the local day, with its year"


def test_a_time_says_as_much_as_is_needed():
    soon = datetime.now().astimezone()
    assert show_status.clock(soon.isoformat()) == soon.strftime("%H:%M")
    other = soon.replace(month=1 if soon.month > 6 else 12, day=15)
    assert show_status.clock(other.isoformat()) == other.strftime("%d %b %H:%M")
    assert show_status.clock(None) == ""


def test_the_summary_adds_up():
    done = FACT | {"state": "done", "hours_used": 4.0, "hours_left": 0.0}
    said = show_status.summary([RUNNING, done, done])
    assert said.startswith("2 done, 1 running; 24.0 h of a device used, about 1,840 h left; running jobs end by ")
    assert show_status.summary([FACT]) == "1 todo"


@pytest.mark.parametrize(("name", "expected"), [("98cac62a22", False), ("98", False), ("all", True), ("my.toml", True)])
def test_a_jobs_id_is_no_suite(name, expected):
    assert is_suite(name) is expected


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--scale", "nano"), "--scale nano: only a suite has a scale and seeds. Name one, or leave it out."),
        (("--seeds", "0,1"), "--seeds 0,1: only a suite has a scale and seeds. Name one, or leave it out."),
        (("--watch", "--json"), "--watch: --json prints one document. Leave out one of them."),
    ],
)
def test_flags_that_do_not_apply_are_an_error(desk, arguments, said):
    answer = desk("status", *arguments)
    assert (answer.status, answer.error) == (2, f"error: {said}\n")


@pytest.mark.parametrize(
    "verb", [("status", "--all"), ("status",), ("store",), ("report", "quickstart", "--scale", "nano")]
)
@pytest.mark.parametrize("name", [JOB, RESULT, LEASE, ATTEMPTS])
def test_a_pipe_in_place_of_a_file_costs_its_own_job(desk, tiny, name, verb):
    plan, store = make_plan(suites.load("quickstart"), tiny, [0]), Store(desk.store)
    first, second = (store.prepare(job) for job in plan.jobs[:2])
    (first / name).unlink(missing_ok=True)
    os.mkfifo(first / name)
    status, out, error = desk(*verb)
    assert (status, error) == (0, "")
    if verb == ("status", "--all"):
        assert second.name in out and ("damaged" in out) == (name in (JOB, RESULT))


def test_a_number_that_cannot_be_costs_its_own_cell(desk, tiny):
    plan, store = make_plan(suites.load("quickstart"), tiny, [0]), Store(desk.store)
    fill(store, plan)
    job = next(job for job in plan.jobs if job.kind == "knn")
    result = store.folder(job) / RESULT
    content = json.loads(result.read_text())
    result.write_text(json.dumps({**content, "metrics": {**content["metrics"], "top1": 250.0}}))
    status, out, error = desk("report", "--suite", "quickstart", "--scale", "nano", "--format", "md")
    assert (status, error, out.count("| damaged |")) == (0, "", 1)
    facts = json.loads(desk("status", "quickstart", "--scale", "nano", "--json").out)
    assert [fact["detail"] for fact in facts if fact["state"] == "damaged"] == [
        f"{result}: damaged (top1 is 250 %). Delete the job's folder and run the suite again."
    ]
