"""The job that chooses among learning rates."""

import json

import pytest
import torch

from caebench.planning.scale import SCALES
from caebench.specs.evaluations.lr_grid import ade20k_grid
from caebench.specs.evaluations.segmentation import ade20k
from caebench.specs.inputs.random_encoder import random_encoder
from caebench.specs.job import make_job
from caebench.specs.site import Site
from caebench.tasks.lr_grid import select_rate
from caebench.training.distributed import Group
from caebench.training.run import Run


def finished(folder, score):
    """A finished job; its mIoU's interval is one down and two up."""
    folder.mkdir()
    metrics = {"mIoU": score, "mAcc": score + 10, "aAcc": 80.0}
    intervals = {"mIoU": [score - 1, score + 2], "mAcc": [score + 9, score + 13], "aAcc": [79.0, 81.0]}
    (folder / "result.json").write_text(json.dumps({"metrics": metrics, "intervals": intervals}))
    return folder


def make_grid(folder, scores):
    inputs = {f"lr_{rate:g}": finished(folder / f"{rate:g}", score) for rate, score in scores.items()}
    config = ade20k_grid().replace(rates=tuple(scores))
    return config, Run(folder, inputs, Site(), Group(0, 1, torch.device("cpu")))


@pytest.fixture
def grid(tmp_path):
    """Three rates; the middle one is best."""
    return make_grid(tmp_path, {1e-4: 41.0, 2e-4: 45.5, 3e-4: 44.0})


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


def test_intervals_are_those_of_the_chosen_and_of_the_middle_job(grid):
    config, run = grid
    select_rate(config, run)
    assert run.intervals == {
        "mIoU": (44.5, 47.5),
        "mAcc": (54.5, 58.5),
        "aAcc": (79.0, 81.0),
        "mIoU_median": (43.0, 46.0),
    }


def test_of_an_even_number_of_rates_two_are_in_the_middle(tmp_path):
    config, run = make_grid(tmp_path, {1e-4: 41.0, 2e-4: 45.5, 3e-4: 44.0, 4e-4: 20.0})
    assert select_rate(config, run)["mIoU_median"] == 42.5
    assert run.intervals["mIoU_median"] == (41.5, 44.5)


def test_jobs_without_intervals_give_none(grid):
    config, run = grid
    for folder in run.inputs.values():
        metrics = json.loads((folder / "result.json").read_text())["metrics"]
        (folder / "result.json").write_text(json.dumps({"metrics": metrics}))
    assert select_rate(config, run)["mIoU"] == 45.5
    assert run.intervals == {}


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
