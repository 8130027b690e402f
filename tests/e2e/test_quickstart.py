"""A whole suite: filled, cached, healed."""

import shutil

import pytest

from caebench.execution.local import run_plan
from caebench.report.table import entries
from caebench.specs.site import Site
from caebench.store.records import Records
from tests.helpers import metrics, read

SITE = Site(device="cpu")


def times(store, jobs):
    return {job.name: (store.folder(job) / "result.json").stat().st_mtime_ns for job in jobs}


def dependents(plan, root):
    return [job for job in plan.jobs if root.id in {ancestor.id for ancestor in job.ancestors()}]


def test_every_cell_that_is_run_is_filled(quickstart):
    rows = entries(quickstart.plan, Records(quickstart.store), [])
    states = {
        (row.label, entry.state) for row, cells in zip(quickstart.plan.suite.rows, rows, strict=True) for entry in cells
    }
    expected = {(row.label, "quoted" if row.quoted else "done") for row in quickstart.plan.suite.rows}
    assert states == expected
    done = [entry for cells in rows for entry in cells if entry.state == "done"]
    assert all(0.0 <= entry.estimate.mean <= 100.0 and entry.estimate.standard_error is not None for entry in done)


def test_every_number_of_an_evaluation_has_an_interval(quickstart):
    for job in quickstart.plan.jobs:
        result = quickstart.store.result(job)
        names = job.config.METRICS
        shown = set(names) & set(result["metrics"])
        assert shown <= result["intervals"].keys() and (names or result["intervals"] == {})
        for name, (low, high) in result["intervals"].items():
            assert 0 <= low <= result["metrics"][name] <= high <= 100


def test_a_second_run_trains_nothing(quickstart, log):
    before = times(quickstart.store, quickstart.plan.jobs)
    outcomes = run_plan(quickstart.plan.jobs, quickstart.store, SITE, log.watcher, 2)
    assert set(outcomes.by_id.values()) == {"cached"}
    assert log.started == []
    assert times(quickstart.store, quickstart.plan.jobs) == before


def test_a_deleted_job_is_rerun_with_its_dependents_and_nothing_else(quickstart, copied, log):
    """On a CPU to the same numbers; elsewhere what rests on the old weights must not stand beside the new ones."""
    job = quickstart.job("pretrain", "cae-dvae")
    before = {other.name: copied.result(other)["metrics"] for other in quickstart.plan.jobs}
    encoder = (copied.folder(job) / "encoder.safetensors").read_bytes()
    lines = metrics(copied.folder(job))
    shutil.rmtree(copied.folder(job))
    outcomes = run_plan(quickstart.plan.jobs, copied, SITE, log.watcher, 1)
    resting = dependents(quickstart.plan, job)
    assert resting and log.started[0] == job.id and set(log.started[1:]) == {other.id for other in resting}
    assert outcomes.count("done") == 1 + len(resting)
    assert outcomes.count("cached") == len(quickstart.plan.jobs) - 1 - len(resting)
    assert {other.name: copied.result(other)["metrics"] for other in quickstart.plan.jobs} == before
    assert metrics(copied.folder(job)) == lines
    assert (copied.folder(job) / "encoder.safetensors").read_bytes() == encoder


def test_a_failed_job_blocks_only_its_dependents_and_can_be_rerun(quickstart, copied, log):
    plan, tokenizer = quickstart.plan, quickstart.job("dvae", "")
    pretraining, bystander = quickstart.job("pretrain", "cae-dvae"), quickstart.job("knn", "random")
    before = {job.name: copied.result(job)["metrics"] for job in plan.jobs}
    for job in (pretraining, *dependents(plan, pretraining), bystander):
        shutil.rmtree(copied.folder(job))
    weights = copied.folder(tokenizer) / "dvae.pt"
    content = weights.read_bytes()
    weights.write_bytes(content[: len(content) // 2])

    outcomes = run_plan(plan.jobs, copied, SITE, log.watcher, 1)
    by_name = {job.name: outcomes.by_id[job.id] for job in plan.jobs}
    assert by_name.pop(pretraining.name) == "failed"
    assert {by_name.pop(job.name) for job in dependents(plan, pretraining)} == {"blocked"}
    assert by_name.pop(bystander.name) == "done"
    assert set(by_name.values()) == {"cached"}
    assert str(weights) in log.reasons[pretraining.id]
    assert pretraining.name in log.reasons[dependents(plan, pretraining)[0].id]
    assert copied.state(pretraining) == "failed"
    assert "trace" in read(copied.folder(pretraining) / "failure.json")
    shown = {entry.state for row in entries(plan, Records(copied), []) for entry in row}
    assert shown == {"done", "quoted", "not run"}

    weights.write_bytes(content)
    outcomes = run_plan(plan.jobs, copied, SITE, log.watcher, 1)
    assert outcomes.count("done") == 1 + len(dependents(plan, pretraining))
    assert outcomes.count("done", "cached") == len(plan.jobs)
    assert {job.name: copied.result(job)["metrics"] for job in plan.jobs} == before
    assert not (copied.folder(pretraining) / "failure.json").exists()


@pytest.mark.slow
def test_the_quickstart_fills_its_table_at_nano_through_the_command_line(tmp_path):
    import subprocess
    import sys

    command = [sys.executable, "-m", "caebench", "run", "suite", "quickstart", "--scale", "nano", "--store"]
    done = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "todo" not in done.stdout and "failed" not in done.stdout
