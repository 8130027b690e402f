"""The cost of a pretraining beside another."""

import json
import time

import pytest

from caebench.specs.inputs.dataset import SyntheticData
from caebench.specs.job import make_job
from caebench.specs.registry import EVALUATIONS, SOURCES
from caebench.specs.site import Site
from caebench.stages import run_stage
from caebench.training.distributed import join_group
from caebench.training.run import Run


@pytest.fixture(scope="module")
def data(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    run = Run(folder, {}, Site(device="cpu"), join_group("cpu"))
    run_stage(SyntheticData(kind="synthetic", name="imagenet1k", world=tiny.world), run)
    (folder / "result.json").write_text(json.dumps({"fingerprints": {}}))
    return folder


@pytest.fixture
def measure(tiny, data, tmp_path, monkeypatch):
    """Measures seconds of this thread's computing: others on the machine change them little."""
    monkeypatch.setattr(time, "perf_counter", time.thread_time)

    def run(**method):
        full = SOURCES["cae"](target="pixels")
        full = full.replace(method=full.method.replace(**method))
        config = tiny.apply(EVALUATIONS["pretraining_cost"](pretraining=full)).replace(num_images=4, num_steps=25)
        job = Run(tmp_path, {"data": data}, Site(device="cpu"), join_group("cpu"))
        return run_stage(config, job), job.intervals

    return run


def test_decoder_and_alignment_cost_parameters_and_time(measure):
    found, intervals = measure()
    low, high = intervals["time_ratio"]
    assert low <= found["time_ratio"] <= high and intervals["parameter_ratio"] == (found["parameter_ratio"],) * 2
    assert found["parameter_ratio"] > 1.05 and found["time_ratio"] > 1.05
    assert found["step_seconds"] > 0 and found["num_images"] == 4


def test_the_bare_pretraining_costs_itself(measure):
    found, _ = measure(decoder_depth=0, align_weight=0.0)
    assert found["parameter_ratio"] == 1.0
    assert found["time_ratio"] == pytest.approx(1.0, abs=0.4)  # of the same work, measured twice on a busy machine


def test_a_row_that_trains_nothing_has_no_cost():
    with pytest.raises(ValueError, match="trains nothing"):
        EVALUATIONS["pretraining_cost"](pretraining=SOURCES["random"]())


def test_the_job_rests_on_data_and_tokenizer_and_on_no_seed(tiny):
    full = SOURCES["cae"](target="dalle")
    job = make_job(tiny.apply(EVALUATIONS["pretraining_cost"](pretraining=full)))
    assert set(job.inputs) == {"data", "tokenizer"}
    assert job.name.startswith("cost/cae-dvae_broad-")
