"""Code caches: which pretrainings of a plan share their tokenizer's codes, and the job that computes those (ADR 19).

A cache changes no number, so it stands beside the inputs of a pretraining and enters no id.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypedDict

from caebench.config.calibration import Calibration
from caebench.config.codes import CODES, Codes, stride
from caebench.config.compared import BEiT
from caebench.config.method import CAE, DALLETarget, DVAETarget
from caebench.config.stage import Pretrain, num_patches
from caebench.config.variants import VARIANTS
from caebench.plan.cost import gpu_hours, gpu_hours_saved
from caebench.plan.graph import Job, Plans, make_job

GB = 10**9


class CacheFacts(TypedDict):
    """A code cache of a plan in plain values."""

    name: str
    epochs: int
    image_bytes: int  # of an image and epoch
    disk_bytes: int
    shared_by: int  # pretrainings
    gpu_hours: float  # to compute it
    gpu_hours_saved: float  # by the pretrainings together, those not taken off


def codes_of(config: Pretrain, epochs: int) -> Codes | None:
    """The codes that a pretraining trains on; None where its targets are no codes."""
    method = config.method
    if not isinstance(method, CAE | BEiT) or not isinstance(method.target, DALLETarget | DVAETarget):
        return None
    side = round(num_patches(config.image_size, VARIANTS[config.variant]) ** 0.5)
    return Codes(
        kind="codes",
        target=method.target,
        data=config.data,
        view_size=side * stride(method.target),
        crop_scale_min=config.crop_scale_min,
        color_jitter=method.color_jitter if isinstance(method, BEiT) else 0.0,
        epochs=epochs,
        seed=config.seed,
    )


def with_code_caches(plans: Plans, most_gb: float | None, is_done: Callable[[Job], bool]) -> Plans:
    """The plans with a cache before every two or more pretrainings that share codes; without a limit, as they are."""
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
    """The cache of each pretraining that gains by one, by the pretraining's id.

    One that is done needs none; a single one that is left takes a cache that is there, and asks for none.
    """
    sharing: dict[Codes, list[Job]] = {}
    for job in jobs:
        if isinstance(job.config, Pretrain) and (codes := codes_of(job.config, 1)) is not None:
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
    """Epochs that at least two of the pretrainings go through, as far as the disk may hold them."""
    lengths = sorted(job.config.optimization.epochs for job in group if isinstance(job.config, Pretrain))
    return min(lengths[-2], int(most_gb * GB / codes.epoch_bytes)) if len(lengths) > 1 else 0


def _rebuilt(job: Job, caches: Mapping[str, Job], made: dict[str, Job]) -> Job:
    if job.id not in made:
        inputs = {role: _rebuilt(parent, caches, made) for role, parent in job.inputs.items()}
        made[job.id] = Job(job.config, inputs, {CODES: caches[job.id]} if job.id in caches else {})
    return made[job.id]


def cache_facts(jobs: Sequence[Job], calibration: Calibration | None = None) -> list[CacheFacts]:
    """The code caches among some jobs."""
    return [_facts(job.config, job, jobs, calibration) for job in jobs if isinstance(job.config, Codes)]


def _facts(config: Codes, cache: Job, jobs: Sequence[Job], calibration: Calibration | None) -> CacheFacts:
    using = [job for job in jobs if CODES in job.aids and job.aids[CODES].id == cache.id]
    return {
        "name": cache.name,
        "epochs": config.epochs,
        "image_bytes": config.image_bytes,
        "disk_bytes": config.epoch_bytes * config.epochs,
        "shared_by": len(using),
        "gpu_hours": gpu_hours(cache, calibration),
        "gpu_hours_saved": math.fsum(gpu_hours_saved(job, calibration) for job in using),
    }
