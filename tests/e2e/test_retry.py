"""`caebench retry`, here: exactly what failed, and what waits on it."""

import json
import sys

import pytest

import caebench.planning.scale as scales
from caebench.cli import follow, main
from caebench.specs.evaluations.lr_grid import ade20k_grid
from caebench.specs.job import make_job
from caebench.store.state import attempts
from caebench.store.store import Store
from tests.helpers import longer, own_copy, read, variation


@pytest.fixture
def chain(quickstart, bench):
    """A pretraining that cannot write its encoder, a probe that waits on it, and another failure."""
    found = quickstart.job("pretrain", "cae-pixels")
    encoder = variation(bench, found, longer(found, epochs=2))
    knn = quickstart.job("knn", "cae-pixels")
    probe = make_job(knn.config, encoder=encoder)
    Store(bench.store).prepare(probe)
    other = variation(bench, knn, knn.config.replace(k=(1, 3)))
    (bench.folder(other) / "failure.json").write_text('{"error": "ValueError: no"}')
    (bench.folder(encoder) / "encoder.safetensors").mkdir()
    assert bench.run("run", "job", encoder.id).process.exitcode == 1
    return encoder, probe, other


@pytest.fixture
def retry(bench, monkeypatch, capsys):
    """`caebench retry` in this process: its exit status, and what it printed."""
    monkeypatch.setenv("HOME", str(bench.home))
    monkeypatch.setenv("CAEBENCH_STORE", str(bench.store))

    def run(name):
        monkeypatch.setattr(sys, "argv", ["caebench", "retry", name])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code or 0, "".join(capsys.readouterr())

    return run


def test_a_job_is_retried_with_its_dependents_and_nothing_else(bench, chain, retry):
    encoder, probe, other = chain
    status, output = retry(encoder.id[:8])
    assert status == 1, output  # it fails again
    (bench.folder(encoder) / "encoder.safetensors").rmdir()
    status, output = retry(encoder.id[:8])
    assert status == 0, output
    assert [Store(bench.store).state(job) for job in chain] == ["done", "done", "failed"]
    assert [len(attempts(bench.folder(job))) for job in (encoder, probe, other)] == [3, 1, 0]
    assert f"{encoder.id}: no job of it has failed" in retry(encoder.id)[1]


def test_a_dependent_of_a_failed_job_is_not_retried_alone(bench, chain):
    encoder, probe, _ = chain
    command = bench.run("retry", probe.id)
    assert command.process.exitcode == 2
    assert f"{probe.name}: blocked by {encoder.name}. Retry that" in command.output
    assert attempts(bench.folder(probe)) == []


def test_a_job_that_would_be_another_one_today_is_refused(bench, chain):
    """Its default, or its kind's version, has changed since."""
    encoder, probe, _ = chain
    folder = bench.folder(probe)
    path = folder.with_name(folder.name.replace(probe.id, "0123456789")) / "job.json"
    folder.rename(path.parent)
    path.write_text(json.dumps({**read(path), "id": "0123456789"}))
    command = bench.run("retry", encoder.id)
    assert command.process.exitcode == 2
    assert f"{path}: today this is job {probe.id}" in command.output and "Run its suite again" in command.output


def test_a_dependent_of_another_failed_job_waits_for_that_one(quickstart, bench, tiny, monkeypatch):
    """A grid of learning rates rests on a job for each."""
    monkeypatch.setenv("HOME", str(bench.home))
    store = Store(bench.store)
    grid = make_job(tiny.apply(ade20k_grid()), encoder=quickstart.job("random_encoder", "random"))
    rates = [job for role, job in grid.inputs.items() if role.startswith("lr_")]
    first, second, *others = [job for job in rates if store.state(job) != "done"]  # the quickstart has one of them
    for job in (first, second, *others, grid):
        store.prepare(job)
    for job in (first, second):
        (store.folder(job) / "failure.json").write_text('{"error": "ValueError: no"}')
    for job in others:
        (store.folder(job) / "result.json").write_text("{}")
    assert [job.id for job in follow._broken_from(first.id, "local", bench.store)[1]] == [first.id]
    (store.folder(second) / "result.json").write_text("{}")
    assert [job.id for job in follow._broken_from(first.id, "local", bench.store)[1]] == [first.id, grid.id]


def test_a_suites_failures_are_retried_and_its_results_stand(quickstart, bench, tiny, monkeypatch, capsys):
    monkeypatch.setitem(scales.SCALES, "nano", tiny)
    monkeypatch.setenv("HOME", str(bench.home))
    follow.retry("quickstart", store=bench.store)
    assert "quickstart: no job of it has failed" in capsys.readouterr().out
    failed = quickstart.job("knn", "random")
    folder = own_copy(bench, failed)
    before = {job.id: len(attempts(bench.folder(job))) for job in quickstart.plan.jobs}
    result = read(folder / "result.json")
    (folder / "result.json").unlink()
    (folder / "failure.json").write_text('{"error": "ValueError: no"}')
    follow.retry("quickstart", store=bench.store)
    after = {job.id: len(attempts(bench.folder(job))) for job in quickstart.plan.jobs}
    assert after == {**before, failed.id: before[failed.id] + 1}
    assert read(folder / "result.json")["metrics"] == result["metrics"]
