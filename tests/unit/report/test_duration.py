"""How long a run takes: only from what this machine has done, or its calibration."""

import json
import socket

import pytest

from caebench.planning.duration import seconds_here, wait_here
from caebench.planning.graph import make_plan
from caebench.planning.passes import find_passes
from caebench.report.duration import Durations, Example, makespan
from caebench.specs.calibration import Calibration
from caebench.specs.cost import gpu_hours
from caebench.store.store import Store
from caebench.suites.loading import load

CALIBRATION = Calibration(
    device="x", measured="2026-01-01", training=1e12, frozen=1e12, variant="vit_b", batch=1, precision="fp32"
)


@pytest.fixture
def jobs(tiny):
    return make_plan(load("quickstart"), tiny).jobs


def of_kind(jobs, kind):
    return next(job for job in jobs if job.kind == kind)


def test_without_examples_and_without_a_calibration_a_cpu_is_counted_and_says_so(jobs):
    forecast = Durations().forecast(jobs, {}, 1)
    assert forecast.seconds == pytest.approx(wait_here(jobs, 1)) and forecast.num_unknown == 0
    assert str(forecast).endswith("(counted with another machine's CPU cores, to a factor of two or so)")


def test_without_examples_and_without_a_calibration_nothing_is_said_of_a_gpu(jobs):
    forecast = Durations(on_gpu=True).forecast(jobs, {}, 2)
    assert forecast.seconds is None and not forecast.is_long and str(forecast).startswith("not known yet")


def test_a_job_takes_as_long_as_others_of_its_kind_by_what_there_is_to_compute(jobs):
    job = of_kind(jobs, "knn")
    examples = [Example(gpu_hours(job) / 2, 10.0, "A100"), Example(gpu_hours(job), 20.0, "A100")]
    known = Durations(on_gpu=True, known={"knn": examples})
    assert known.seconds(job) == pytest.approx(20.0)
    assert known.seconds(of_kind(jobs, "finetune")) is None
    mixed = known.forecast(jobs, {}, 1)
    assert mixed.num_unknown == sum(job.kind != "knn" for job in jobs)
    assert f"and {mixed.num_unknown} jobs of which nothing is known (from 2 jobs that it has finished)" in str(mixed)


@pytest.mark.parametrize(("factor", "is_rough"), [(0.5, False), (0.01, True)])
def test_a_number_from_jobs_of_other_sizes_says_so(jobs, factor, is_rough):
    job = of_kind(jobs, "knn")
    known = Durations(known={"knn": [Example(gpu_hours(job) * factor, 1.0, "CPU")]})
    forecast = known.forecast([job], {}, 1)
    assert forecast.seconds == pytest.approx(1 / factor) and ("of other sizes" in forecast.basis) == is_rough


def test_a_calibration_stands_in_for_kinds_that_have_no_example(jobs):
    job = of_kind(jobs, "finetune")
    found = Durations(CALIBRATION).forecast([job], {}, 1)
    assert found.seconds == pytest.approx(gpu_hours(job, CALIBRATION) * 3600)
    assert found.basis == "from its calibration of 2026-01-01"


@pytest.mark.parametrize(("host", "is_known"), [(socket.gethostname(), True), ("another", False)])
def test_only_jobs_of_this_machine_are_examples(tmp_path, jobs, host, is_known):
    store, job = Store(tmp_path), of_kind(jobs, "synthetic")
    folder = store.prepare(job)
    (folder / "result.json").write_text("{}")
    (folder / "provenance.json").write_text(json.dumps({"host": host, "device": "CPU, 1 of 2 cores"}))
    lines = [
        {"begins": "2026-01-01T00:00:00+00:00", "shared_by": 2},
        {"ends": "2026-01-01T00:00:30+00:00", "outcome": "done"},
    ]
    (folder / "attempts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert Durations.of(store, None).seconds(job) == (30.0 if is_known else seconds_here(job))
    assert Durations.of(store, None, on_gpu=True).seconds(job) is None


def test_what_waits_for_an_input_waits_and_a_pass_counts_once(tiny):
    jobs = make_plan(load("frozen-probes"), tiny).jobs
    passes = find_passes(jobs)
    shared = max(passes.values(), key=len)
    chain = [*shared[0].ancestors(), *shared]
    lengths = {job.id: 1.0 for job in chain}
    assert len(shared) > 2 and makespan(chain, passes, lengths, 2) == 2.0  # its inputs at once, then the pass
    assert makespan(chain, {}, lengths, 2) == 1.0 + (len(shared) + 1) // 2
    assert makespan([], {}, {}, 2) == 0.0
