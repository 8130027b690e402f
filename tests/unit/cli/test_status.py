"""The table of `caebench status`."""

from datetime import datetime

import pytest

from caebench.cli import status
from caebench.planning.setup import is_suite

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
    return status._table(facts)


def test_columns_that_hold_nothing_are_left_out():
    header, rows = table(FACT, FACT | {"state": "failed", "detail": "ValueError: [x]", "log": ["a", "b"]})
    assert header == ["job", "state", "result or reason"]
    assert str(rows[1][2]) == "ValueError: [x]\na\nb"


def test_a_job_that_runs_fills_every_column():
    header, (row,) = table(RUNNING)
    assert header == list(status.HEADER[:-1])
    assert row[2:5] == ["epoch 12.0 of 300, 4 %", "812", "2 of 11"] and row[6:] == ["16.0", "1,840.3"]
    assert row[5] in ("05 May 2031", "06 May 2031", "07 May 2031"), "the local day, with its year"


def test_a_time_says_as_much_as_is_needed():
    soon = datetime.now().astimezone()
    assert status._clock(soon.isoformat()) == soon.strftime("%H:%M")
    other = soon.replace(month=1 if soon.month > 6 else 12, day=15)
    assert status._clock(other.isoformat()) == other.strftime("%d %b %H:%M")
    assert status._clock(None) == ""


def test_the_summary_adds_up():
    done = FACT | {"state": "done", "hours_used": 4.0, "hours_left": 0.0}
    said = status._summary([RUNNING, done, done])
    assert said.startswith("2 done, 1 running; 24.0 device-hours used, about 1,840.3 left; running jobs end by ")
    assert status._summary([FACT]) == "1 todo"


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
