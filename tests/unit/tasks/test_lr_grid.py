"""The job that chooses among learning rates."""

import json

import pytest
import torch

from caebench.config.site import Site
from caebench.plan.graph import make_job
from caebench.plan.scale import SCALES
from caebench.recipes.dense import ade20k, ade20k_grid
from caebench.recipes.random import random_encoder
from caebench.tasks.lr_grid import select_rate
from caebench.training.distributed import Group
from caebench.training.run import Run


def finished(folder, **metrics):
    folder.mkdir()
    (folder / "result.json").write_text(json.dumps({"metrics": metrics}))
    return folder


@pytest.fixture
def grid(tmp_path):
    """Three rates; the middle one is best."""
    scores = {1e-4: 41.0, 2e-4: 45.5, 3e-4: 44.0}
    inputs = {
        f"lr_{rate:g}": finished(tmp_path / f"{rate:g}", mIoU=score, mAcc=score + 10, aAcc=80.0)
        for rate, score in scores.items()
    }
    config = ade20k_grid().replace(rates=tuple(scores))
    return config, Run(tmp_path, inputs, Site(), Group(0, 1, torch.device("cpu")))


def test_the_best_is_chosen_and_every_rate_is_kept(grid):
    assert select_rate(*grid) == {
        "mIoU": 45.5,
        "mAcc": 55.5,
        "aAcc": 80.0,
        "lr": 2e-4,
        "mIoU_median": 44.0,
        "mIoU_lr_0.0001": 41.0,
        "mIoU_lr_0.0002": 45.5,
        "mIoU_lr_0.0003": 44.0,
    }


@pytest.mark.parametrize("scale", SCALES)
def test_the_grid_shares_the_job_that_other_suites_use(scale):
    """One job a rate; the 3e-4 job is the one that Tables 5 and 7 show."""
    encoder = make_job(SCALES[scale].apply(random_encoder()))
    grid = make_job(SCALES[scale].apply(ade20k_grid()), encoder=encoder)
    members = {role: job for role, job in grid.inputs.items() if role.startswith("lr_")}
    assert len({job.id for job in members.values()}) == len(members) == 4
    alone = make_job(SCALES[scale].apply(ade20k()), encoder=encoder)
    assert alone.id in {job.id for job in members.values()}


def test_a_grid_follows_its_seed():
    config = ade20k_grid().replace(seed=3)
    assert {config.at(rate).seed for rate in config.rates} == {3}
