"""A job of every stage runs in the quick tests: those that the quickstart has, and here the others."""

from typing import get_args

import pytest
from helpers import read

from caebench.config.site import Site
from caebench.config.stage import METRICS, Stage
from caebench.execution.local import run_plan
from caebench.plan.graph import make_job
from caebench.plan.store import Store
from caebench.recipes import EVALUATIONS

# no real data or released tokenizer is at hand: tests/unit/tasks/test_data_jobs.py; test_ckpt.py
ELSEWHERE = {"RealData", "Released", "Imported"}
HERE = ("ade20k_grid", "pretraining_cost", "knn_segmentation", "linear_probe_grid")


def test_no_stage_is_left_out(quickstart, tiny):
    ran = {type(job.config).__name__ for job in quickstart.plan.jobs}
    ran |= {type(tiny.apply(EVALUATIONS[recipe]())).__name__ for recipe in HERE}
    assert {cls.__name__ for cls in get_args(get_args(Stage)[0])} == ran | ELSEWHERE


@pytest.mark.parametrize("recipe", HERE)
def test_a_job_of_the_stage_runs_and_reports_its_numbers(bench, quickstart, tiny, log, recipe):
    encoder = quickstart.job("pretrain", "cae-pixels")
    accepts_source = recipe == "pretraining_cost"
    config = tiny.apply(EVALUATIONS[recipe]())
    if accepts_source:
        config = config.replace(pretraining=encoder.config, against=encoder.config, num_images=4, num_steps=2)
    job = make_job(config) if accepts_source else make_job(config, encoder=encoder)
    outcomes = run_plan([*job.ancestors(), job], Store(bench.store), Site(device="cpu"), log.watcher, 1)
    assert outcomes.by_id[job.id] == "done", log.reasons
    result = read(bench.folder(job) / "result.json")
    assert set(METRICS[type(job.config)]) <= result["metrics"].keys()
    assert result["intervals"] and result["inputs_finished"].keys() == job.inputs.keys()
