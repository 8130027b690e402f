"""How long jobs take, in words; and about how long here, where a plan's A100-hours are next to nothing."""

import math
from collections.abc import Sequence

from caebench.specs.cost import hours_at
from caebench.specs.job import Job

CORE = 22e9  # FLOP/s of one CPU core in training and frozen, from the nano jobs of `make demo` on two cores
DENSE_CORE = 40e9  # of segmentation and detection, which the count of products describes to a factor of two
START = 2.0  # seconds of a job that no product takes: its start, its data, its evaluation
TINY = 0.5  # A100-hours of a whole plan, below which they say nothing to a reader


def seconds_here(job: Job) -> float:
    """About how long a job takes on one CPU core."""
    speed = DENSE_CORE if job.config.speed() == "dense" else CORE
    return START + 3600.0 * hours_at(job.config.multiply_adds(job.inputs), speed)


def wait_here(jobs: Sequence[Job], num_parallel: int) -> float:
    """About how many seconds some jobs take, so many at once."""
    seconds = [seconds_here(job) for job in jobs]
    return max(math.fsum(seconds) / num_parallel, max(seconds, default=0.0))


def show_time(seconds: float) -> str:
    """`35 s`, `3 min`, `2.5 h`, `1,840 h`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s" if seconds > 0 else "0"
    minutes = seconds / 60
    if minutes < 90:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.1f} h" if minutes < 6000 else f"{minutes / 60:,.0f} h"
