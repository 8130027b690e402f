"""Times in words, and about how long jobs take on a CPU core."""

import pytest

from caebench.planning.duration import seconds_here, show_time, wait_here
from caebench.planning.graph import make_plan
from caebench.planning.scale import SCALES
from caebench.suites.loading import load


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0"), (0.2, "1 s"), (89, "89 s"), (100, "2 min"), (5000, "83 min"), (6000, "1.7 h"), (3.6e7, "10,000 h")],
)
def test_times_are_told_in_the_unit_that_people_use(seconds, words):
    assert show_time(seconds) == words


def test_a_plan_takes_as_long_as_its_longest_job_and_its_share_of_the_cores():
    jobs = make_plan(load("quickstart"), SCALES["nano"]).jobs
    longest, total = max(map(seconds_here, jobs)), sum(map(seconds_here, jobs))
    assert wait_here(jobs, 10_000) == longest
    assert wait_here(jobs, 2) == pytest.approx(total / 2)
    assert 4 * 60 < wait_here(jobs, 2) < 30 * 60, "make demo takes about eight minutes"
