"""How long a job has run and will run."""

import json

import pytest

from caebench.files.lines import read_lines
from caebench.report.forecast import TAIL, hours_used, read_pace, slices

DATA = {"kind": "real", "name": "clipart"}  # 33,525 training images
EPOCHS = {"optimization": {"epochs": 100}, "data": DATA}
STEPS = {"optimization": {"iterations": 1000, "global_batch": 16}, "data": DATA}


@pytest.fixture
def write(tmp_path):
    def write(*lines):
        path = tmp_path / "metrics.jsonl"
        path.write_text("".join(line if isinstance(line, str) else f"{json.dumps(line)}\n" for line in lines))
        return path

    return write


def test_what_is_left_is_at_the_speed_of_the_last_lines(write):
    """Equally many images at 100 and at 300 a second are 150 a second."""
    path = write(
        {"step": 10, "epoch": 39.0, "images_per_second": 100, "loss": 3.0},
        {"step": 20, "epoch": 40.0, "images_per_second": 300, "loss": 2.0},
        {"step": 20, "epoch": 40, "top1": 5.0},
    )
    pace = read_pace(path, EPOCHS)
    assert (pace.done, pace.total, pace.unit, pace.loss) == (40, 100, "epoch", 2.0)
    assert pace.images_per_second == pytest.approx(150)
    assert pace.seconds_left == pytest.approx(60 * 33_525 / 150)


def test_a_dense_task_counts_steps(write):
    pace = read_pace(write({"step": 250, "images_per_second": 32, "loss": 1.0}), STEPS)
    assert (pace.done, pace.unit) == (250, "step") and pace.seconds_left == pytest.approx(750 * 16 / 32)


def test_before_the_first_line_and_without_training_there_is_no_pace(write, tmp_path):
    assert read_pace(tmp_path / "metrics.jsonl", EPOCHS) is None
    assert read_pace(write({"step": 1}), {"k": [10], "data": DATA}) is None
    pace = read_pace(write({"step": 1, "epoch": 1, "top1": 9.0}), EPOCHS)
    assert pace.images_per_second is None and pace.seconds_left is None and pace.loss is None


def test_lines_that_are_cut_or_half_written_do_not_count(write):
    long = [{"step": number, "filler": "x" * 100} for number in range(100)]
    found = read_lines(write(*long, '{"step": 100, "fil'), TAIL)
    assert found[-1]["step"] == 99 and 10 < len(found) < 100


HOUR = 3600.0
FIRST = 1_600_000_000.0


def at(hour):
    from datetime import UTC, datetime

    return datetime.fromtimestamp(FIRST + HOUR * hour, UTC).isoformat()


@pytest.mark.parametrize(
    ("tries", "now", "hours"),
    [
        ([], None, 0),
        ([{"begins": at(0), "ends": at(2), "processes": 8}], None, 16),
        ([{"begins": at(0), "ends": at(2)}, {"begins": at(5), "ends": at(6)}], None, 3),
        ([{"begins": at(0)}, {"begins": at(9), "seen": FIRST + 4 * HOUR, "ends": at(10)}], None, 5),  # killed at 4
        ([{"begins": at(0)}, {"begins": at(9), "ends": at(10)}], None, 1),  # killed before it wrote anything
        ([{"begins": at(0)}], FIRST + 7 * HOUR, 7),  # runs
        ([{"begins": at(0)}], None, 6),  # killed, last seen at 6
    ],
)
def test_hours_are_those_that_devices_were_held(tries, now, hours):
    assert hours_used(tries, FIRST + 6 * HOUR, now) == pytest.approx(hours)


@pytest.mark.parametrize(
    ("number", "left", "limit", "used", "shown"),
    [
        (0, 250, 100, None, "0 of 3"),  # waits for its first
        (1, 250, 100, 40, "1 of 3"),  # 60 in this one, then 100 and 90
        (3, 60, 100, 40, "3 of 3"),
        (3, 61, 100, 40, "3 of 4"),
        (2, 250, 100, None, "2 of 5"),  # between slices
        (1, 0, 100, None, "1 of 2"),  # by its plan it needs no time
        (2, None, 100, None, "2"),
        (1, 250, None, 40, "1"),
        (0, None, None, None, ""),
    ],
)
def test_slices_are_counted_from_what_is_left(number, left, limit, used, shown):
    assert str(slices(number, left, limit, used)) == shown
