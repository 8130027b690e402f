"""Killed and resumed equals uninterrupted, bit for bit."""

import os
import signal

import pytest
import torch
from safetensors.torch import load_file

from caebench.specs.job import make_job
from tests.helpers import KEPT, last_step, longer, metrics, planned, read, variation


@pytest.fixture
def pretraining(quickstart, bench):
    """CAE on d-VAE codes with stochastic depth, 60 steps."""
    job = quickstart.job("pretrain", "cae-dvae")
    assert job.config.method.drop_path > 0
    return variation(bench, job, longer(job))


@pytest.fixture
def finetuning(quickstart, bench):
    """Fine-tuning with mixing and stochastic depth, 60 steps."""
    job = quickstart.job("finetune", "imagenet1k-cae-pixels")
    assert job.config.drop_path > 0 and job.config.mixing.mixup > 0
    return variation(bench, job, longer(job))


def run_uninterrupted(bench, job, site, **options):
    """Run the job in a folder of its own, and move that away."""
    command = bench.run("run", "job", job.id, "--site", site, **options)
    assert command.wait() == 0, command.output
    return bench.set_aside(job, "uninterrupted")


def kill_at(bench, job, step, kills, **options):
    """Start the job and SIGKILL it once metrics.jsonl has passed the step, somewhere within the steps that follow."""
    folder = bench.folder(job)
    command = bench.start("run", "job", job.id, "--site", "eager", **options)
    assert command.wait_until(lambda: last_step(folder) >= step), command.output
    command.wait_until(lambda: kills.random() < 0.03)  # a few steps more, perhaps into the writing of a checkpoint
    os.kill(command.process.pid, signal.SIGKILL)
    assert command.wait() == -signal.SIGKILL
    assert not (folder / "result.json").exists()


def finish(bench, job, **options):
    command = bench.run("run", "job", job.id, "--site", "eager", **options)
    assert command.wait() == 0, command.output


def assert_equal_tensors(ours, theirs):
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []


def assert_equal_runs(folder, uninterrupted):
    assert metrics(folder) == metrics(uninterrupted)
    ours, theirs = read(folder / "result.json"), read(uninterrupted / "result.json")
    assert (ours["metrics"], ours["intervals"]) == (theirs["metrics"], theirs["intervals"])


@pytest.fixture
def distillation(quickstart, bench, tiny):
    """DINO, 60 steps: a teacher, a centre, schedules of momentum, temperature and decay."""
    job = quickstart.job("pretrain", "cae-dvae")
    config = planned(tiny, "dino").replace(data=job.config.data)
    return variation(bench, job, longer(make_job(config)))


@pytest.mark.parametrize("name", ["pretraining", pytest.param("distillation", marks=pytest.mark.slow)])
def test_pretraining_killed_thrice_equals_uninterrupted(bench, name, request, kills):
    pretraining = request.getfixturevalue(name)
    uninterrupted = run_uninterrupted(
        bench, pretraining, "local"
    )  # which saves nothing: saving must change nothing either
    folder = bench.folder(pretraining)
    for step in sorted(kills.sample(range(1, 50), 3)):
        kill_at(bench, pretraining, step, kills)
    finish(bench, pretraining)
    assert_equal_runs(folder, uninterrupted)
    assert_equal_tensors(load_file(folder / "encoder.safetensors"), load_file(uninterrupted / "encoder.safetensors"))
    assert_equal_tensors(
        torch.load(folder / "model.pt", weights_only=True), torch.load(uninterrupted / "model.pt", weights_only=True)
    )
    assert not (folder / "checkpoints").exists()


@pytest.mark.slow
def test_finetuning_killed_thrice_equals_uninterrupted(bench, finetuning, kills):
    uninterrupted = run_uninterrupted(bench, finetuning, "eager", keep_checkpoints=True)
    folder = bench.folder(finetuning)
    for step in sorted(kills.sample(range(1, 50), 3)):
        kill_at(bench, finetuning, step, kills, keep_checkpoints=True)
    finish(bench, finetuning, keep_checkpoints=True)
    assert_equal_runs(folder, uninterrupted)
    name = f"{KEPT}/000000050.pt"
    ours, theirs = (torch.load(where / name, weights_only=True) for where in (folder, uninterrupted))
    assert_equal_tensors(ours["module"], theirs["module"])
    for number, state in theirs["optimizer"]["state"].items():
        assert_equal_tensors(ours["optimizer"]["state"][number], state)


def test_sigterm_saves_and_stops_and_the_job_resumes(bench, pretraining):
    uninterrupted = run_uninterrupted(bench, pretraining, "local")
    folder = bench.folder(pretraining)
    command = bench.start("run", "job", pretraining.id)  # the default site: only the signal makes it save
    assert command.wait_until(lambda: last_step(folder) >= 10), command.output
    os.kill(command.process.pid, signal.SIGTERM)
    assert command.wait() == 1
    assert "stopped by SIGTERM at step" in command.output and "of 60, saved" in command.output
    assert len(list((folder / "checkpoints").glob("*.pt"))) == 1
    assert not (folder / "result.json").exists() and not (folder / "failure.json").exists()
    stopped = last_step(folder)
    finish(bench, pretraining)
    assert metrics(folder)[: stopped // 10] == metrics(uninterrupted)[: stopped // 10]
    assert_equal_runs(folder, uninterrupted)
    assert_equal_tensors(load_file(folder / "encoder.safetensors"), load_file(uninterrupted / "encoder.safetensors"))
