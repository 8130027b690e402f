"""Code caches: which pretrainings of a plan share their tokenizer's codes, and the job that computes those (ADR 19).

A cache changes no number, so it is an optional input of a pretraining and enters no id.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypedDict

from caebench.planning.graph import Plans
from caebench.specs.calibration import Calibration
from caebench.specs.cost import gpu_hours, gpu_hours_saved
from caebench.specs.inputs.code_cache import CODES, Codes
from caebench.specs.job import Job, make_job
from caebench.specs.pretrain import Pretrain

GB = 10**9


class CacheFacts(TypedDict):
    """A code cache of a plan in plain values."""

    name: str
    epochs: int
    image_bytes: int  # per image and epoch
    disk_bytes: int
    shared_by: int  # pretrainings
    gpu_hours: float  # to compute it
    gpu_hours_saved: float  # by all pretrainings, before the hours to compute it are subtracted


def with_code_caches(plans: Plans, most_gb: float | None, is_done: Callable[[Job], bool]) -> Plans:
    """The plans with a cache before every two or more pretrainings that share codes; unchanged without a limit."""
    caches = find_caches(plans.jobs, most_gb, is_done) if most_gb is not None else {}
    if not caches:
        return plans
    made: dict[str, Job] = {}
    changed = tuple(
        replace(
            plan, cells=tuple(replace(c, jobs=tuple(_rebuilt(j, caches, made) for j in c.jobs)) for c in plan.cells)
        )
        for plan in plans.plans
    )
    return replace(plans, plans=changed)


def find_caches(jobs: Sequence[Job], most_gb: float, is_done: Callable[[Job], bool]) -> dict[str, Job]:
    """The cache of each pretraining that benefits, by the pretraining's id.

    A finished pretraining needs none. If only one is left, it uses an existing cache but does not ask for a new one.
    """
    sharing: dict[Codes, list[Job]] = {}
    for job in jobs:
        if isinstance(job.config, Pretrain) and (codes := job.config.codes(1)) is not None:
            sharing.setdefault(codes, []).append(job)
    found: dict[str, Job] = {}
    for codes, group in sharing.items():
        epochs = shared_epochs(codes, group, most_gb)
        missing = [job for job in group if not is_done(job)]
        if epochs and missing:
            cache = make_job(codes.replace(epochs=epochs))
            if len(missing) > 1 or is_done(cache):
                found |= {job.id: cache for job in missing}
    return found


def shared_epochs(codes: Codes, group: Sequence[Job], most_gb: float) -> int:
    """Epochs that at least two of the pretrainings need, as many as fit in the limit."""
    lengths = sorted(job.config.optimization.epochs for job in group if isinstance(job.config, Pretrain))
    return min(lengths[-2], int(most_gb * GB / codes.epoch_bytes)) if len(lengths) > 1 else 0


def _rebuilt(job: Job, caches: Mapping[str, Job], made: dict[str, Job]) -> Job:
    if job.id not in made:
        inputs = {role: _rebuilt(parent, caches, made) for role, parent in job.inputs.items()}
        made[job.id] = replace(job, inputs=inputs, optional_inputs={CODES: caches[job.id]} if job.id in caches else {})
    return made[job.id]


def cache_facts(jobs: Sequence[Job], calibration: Calibration | None = None) -> list[CacheFacts]:
    """The code caches among some jobs."""
    return [_facts(job.config, job, jobs, calibration) for job in jobs if isinstance(job.config, Codes)]


def _facts(config: Codes, cache: Job, jobs: Sequence[Job], calibration: Calibration | None) -> CacheFacts:
    using = [job for job in jobs if CODES in job.optional_inputs and job.optional_inputs[CODES].id == cache.id]
    return {
        "name": cache.name,
        "epochs": config.epochs,
        "image_bytes": config.image_bytes,
        "disk_bytes": config.epoch_bytes * config.epochs,
        "shared_by": len(using),
        "gpu_hours": gpu_hours(cache, calibration),
        "gpu_hours_saved": math.fsum(gpu_hours_saved(job, calibration) for job in using),
    }
