"""A job of every stage runs in the quick tests: those that the quickstart has, and here the others."""

import pytest

from caebench.execution.local import run_plan
from caebench.specs.job import make_job
from caebench.specs.registry import EVALUATIONS, KINDS
from caebench.specs.site import Site
from caebench.store.store import Store
from tests.helpers import read

# no real or own data or released tokenizer is here: unit/tasks/test_data_jobs.py, unit/cli/test_evaluate_own_data.py;
# test_ckpt.py; test_codes.py
ELSEWHERE = {"RealData", "OwnData", "Released", "Imported", "Codes"}
HERE = ("ade20k_grid", "pretraining_cost", "knn_segmentation", "linear_probe_grid")


def test_no_stage_is_left_out(quickstart, tiny):
    ran = {type(job.config).__name__ for job in quickstart.plan.jobs}
    ran |= {type(tiny.apply(EVALUATIONS[recipe]())).__name__ for recipe in HERE}
    assert {cls.__name__ for cls in KINDS.values()} == ran | ELSEWHERE


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
    assert set(job.config.METRICS) <= result["metrics"].keys()
    assert result["intervals"] and result["inputs_finished"].keys() == job.inputs.keys()
