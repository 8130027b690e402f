"""A plan in plain values: what `plan --json` prints, and what tables of it are made from."""

import math
from typing import TypedDict

from caebench.planning.code_caches import CacheFacts, cache_facts
from caebench.planning.cost import Cost
from caebench.planning.setup import Setup
from caebench.specs.cost import describe_hours
from caebench.specs.job import Job
from caebench.store.store import Store


class JobFacts(TypedDict):
    """A job of a plan in plain values."""

    id: str
    name: str
    kind: str
    state: str
    inputs: dict[str, str]  # role -> id
    gpu_hours: float  # of the site's device, if it is calibrated, else of an A100
    disk_bytes: int


class PlanFacts(TypedDict):
    """A plan in plain values."""

    suite: str
    scale: str
    jobs_asked: int  # each cell's job with all its dependencies
    jobs_unique: int
    hours: str  # of which device, and whether measured or estimated
    gpu_hours_naive: float  # each suite planned alone
    gpu_hours: float
    gpu_hours_to_do: float
    disk_bytes: int
    passes: list[list[str]]  # ids of the probes in each shared-encoder pass
    gpu_hours_saved_by_passes: float
    code_caches: list[CacheFacts]
    notes: list[str]  # such as rows that are the same jobs
    jobs: list[JobFacts]


def plan_facts(setup: Setup) -> PlanFacts:
    """A plan in plain values."""
    calibration, cost = setup.site.calibration, setup.cost
    jobs = jobs_facts(setup.plans.jobs, setup.store, cost)
    missing = {job["id"] for job in jobs if job["state"] != "done"}
    to_do = [job for job in setup.plans.jobs if job.id in missing]
    return {
        "suite": setup.plans.name,
        "scale": setup.scale.name,
        "jobs_asked": setup.plans.jobs_asked,
        "jobs_unique": len(jobs),
        "hours": describe_hours(calibration),
        "gpu_hours_naive": math.fsum(each.total for each in setup.costs_alone),
        "gpu_hours": cost.total,
        "gpu_hours_to_do": (cost if len(to_do) == len(jobs) else Cost.of(to_do, calibration)).total,
        "disk_bytes": sum(job["disk_bytes"] for job in jobs),
        "passes": [[job.id for job in shared] for shared in cost.passes],
        "gpu_hours_saved_by_passes": cost.hours_saved,
        "code_caches": cache_facts(setup.plans.jobs, calibration),
        "notes": [note for plan in setup.plans.plans for note in plan.notes],
        "jobs": jobs,
    }


def jobs_facts(jobs: list[Job], store: Store, cost: Cost) -> list[JobFacts]:
    """Jobs in plain values."""
    return [_job_facts(job, store, cost.hours[job.id]) for job in jobs]


def _job_facts(job: Job, store: Store, gpu_hours: float) -> JobFacts:
    return {
        "id": job.id,
        "name": job.name,
        "kind": job.kind,
        "state": store.state(job),
        "inputs": {role: parent.id for role, parent in job.inputs.items()},
        "gpu_hours": gpu_hours,
        "disk_bytes": job.config.disk_bytes(job.inputs),
    }
