"""How long planning takes: every suite with as many seeds as make the jobs. Without torch."""

import statistics
import time
from typing import Any

from caebench.plan.cost import gpu_hours
from caebench.plan.graph import Plans, make_plan
from caebench.plan.scale import find_scale
from caebench.suites import ALL, load_all


def bench_plan(scale: str, num_jobs: int, repeats: int) -> dict[str, Any]:
    """Read every suite, plan it, give every job its id; then the cost of every job, apart."""
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
        "turns": planning,
        "cost_seconds": statistics.median(costing),
        "jobs_per_second": found / statistics.median(planning),
    }


def _plan(scale: str, num_seeds: int) -> Plans:
    chosen = find_scale(scale)
    plans = Plans(ALL, tuple(make_plan(table, chosen, range(num_seeds)) for table in load_all(ALL)))
    assert all(job.id for job in plans.jobs), "every job has an id"
    return plans
