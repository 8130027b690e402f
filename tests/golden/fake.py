"""A store of made-up results, the same every time: the golden reports are drawn from it. Nothing here was measured."""

import json
import random
from dataclasses import replace

from caebench.planning.graph import Plan
from caebench.specs.evaluations.lr_grid import LearningRateGrid
from caebench.specs.evaluations.pretraining_cost import PretrainingCost
from caebench.specs.identity import identity
from caebench.specs.job import Job
from caebench.specs.pretrain import Pretrain
from caebench.store.store import Store

COMMIT = "0123456789abcdef0123456789abcdef01234567"
PACKAGES = {"caebench": "0.1.0", "torch": "2.11.0", "torchvision": "0.26.0", "timm": "1.0.31"}


def fill(store: Store, plan: Plan, skip: str = " ", fail: str = " ") -> None:
    """Finish every job of a plan; those with `skip` in their name never ran, those with `fail` broke."""
    for job in plan.jobs:
        if fail in job.name:
            (store.prepare(job) / "failure.json").write_text('{"error": "Diverged: the loss is not finite"}')
        elif skip not in job.name:
            finish(store, job)


def finish(store: Store, job: Job, **provenance: object) -> None:
    """Write a result as a job would."""
    folder = store.prepare(job)
    metrics = invent(job)
    known = job.config.METRICS
    result = {
        "id": job.id,
        "metrics": metrics,
        "intervals": {name: [metrics[name] - 0.4, metrics[name] + 0.4] for name in known},
        "fingerprints": {"imagenet1k/val": "5d41402abc4b2a76"},
        "seconds": 60.0,
    }
    made_with = {"commit": COMMIT, "dirty": False, "packages": PACKAGES, **provenance}
    (folder / "provenance.json").write_text(json.dumps(made_with))
    (folder / "result.json").write_text(json.dumps(result))


def plain(job: Job) -> Job:
    """The job without the part of its name that says what deviates: a word in it moves no number here."""
    return replace(job, label="", inputs={role: plain(parent) for role, parent in job.inputs.items()})


def invent(job: Job) -> dict[str, float]:
    """Numbers of the kind that the job reports, from what it is, not from its id."""
    if isinstance(job.config, PretrainingCost):
        draw = random.Random(json.dumps(identity(job.config.pretraining), sort_keys=True))
        ratio = round(draw.uniform(1.1, 1.3), 3)
        return {"parameter_ratio": ratio, "time_ratio": ratio + 0.01, "num_parameters": 1e8, "step_seconds": 0.5}
    encoder = job.inputs["encoder"].config if "encoder" in job.inputs else job.config
    what = {**identity(encoder), "seed": None} if isinstance(encoder, Pretrain) else {}
    level = random.Random(f"{job.kind} {json.dumps(what, sort_keys=True)}").uniform(45.0, 75.0)
    draw = random.Random(f"{job.kind} {plain(job).slug} {level}")
    names = list(job.config.METRICS)
    if isinstance(job.config, LearningRateGrid):
        names += [f"mIoU_{job.config.role(rate)}" for rate in job.config.rates]
    return {name: round(level + draw.gauss(0.0, 0.4), 2) for name in names}
