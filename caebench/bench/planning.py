"""The time of planning every suite, with enough seeds for the requested number of jobs. Without torch."""

import statistics
import time
from typing import Any

from caebench.planning.graph import Plans, make_plan
from caebench.planning.scale import find_scale
from caebench.specs.cost import gpu_hours
from caebench.suites.loading import ALL, load_all


def bench_plan(scale: str, num_jobs: int, repeats: int) -> dict[str, Any]:
    """Time reading and planning every suite with all job ids; and separately the cost of every job."""
    once = len(_plan(scale, 1).jobs)
    seeds = 1
    while len(_plan(scale, seeds).jobs) < num_jobs:
        seeds = max(seeds + 1, round(seeds * 1.2), num_jobs // once)
    planning: list[float] = []
    costing: list[float] = []
    for _ in range(repeats):
        started = time.perf_counter()
        jobs = _plan(scale, seeds).jobs
        planned = time.perf_counter()
        sum(gpu_hours(job) for job in jobs)
        planning.append(planned - started)
        costing.append(time.perf_counter() - planned)
    found = len(_plan(scale, seeds).jobs)
    return {
        "scale": scale,
        "seeds": seeds,
        "jobs": found,
        "seconds": statistics.median(planning),
        "rounds": planning,
        "cost_seconds": statistics.median(costing),
        "jobs_per_second": found / statistics.median(planning),
    }


def _plan(scale: str, num_seeds: int) -> Plans:
    chosen = find_scale(scale)
    plans = Plans(ALL, tuple(make_plan(suite, chosen, range(num_seeds)) for suite in load_all(ALL)))
    assert all(job.id for job in plans.jobs), "every job has an id"
    return plans
