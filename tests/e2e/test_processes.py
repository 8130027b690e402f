"""World size and accumulation change no number: 1 process, 2 processes and small micro-batches agree."""

import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from tests.helpers import PATIENCE, longer, metrics, read, variation

EXACT = {"step", "epoch", "lr", "top1", "top5"}
OF_THE_MICRO_BATCH = {"rankme"}  # says so itself


@pytest.fixture(params=["pretrain", "linear_probe", "finetune"])
def job(request, quickstart, bench):
    """A job of each kind of loop: drop path and masks, batch norm over processes, mixing."""
    found = quickstart.job(request.param, "cae-dvae" if request.param == "pretrain" else "imagenet1k-cae-dvae")
    return variation(bench, found, longer(found, epochs=4))


def run_apart(bench, job, run):
    """Run the job in its folder, and move that away, so that the next run starts afresh."""
    run()
    assert read(bench.folder(job) / "result.json")
    return bench.set_aside(job, f"kept-{len(list(bench.store.glob('kept-*')))}")


def run_in(bench, job, num_processes, site="local"):
    def run():
        for command in bench.run_processes(num_processes, "run", "job", job.id, "--site", site):
            assert command.process.exitcode == 0, command.output

    return run_apart(bench, job, run)


def assert_same_training(one, other):
    """Line for line the same, to float32 rounding."""
    assert len(metrics(one)) == len(metrics(other)) >= 2
    for ours, theirs in zip(metrics(one), metrics(other), strict=True):
        assert ours.keys() == theirs.keys()
        for name in ours.keys() - OF_THE_MICRO_BATCH:
            if name in EXACT:
                assert ours[name] == theirs[name], (name, ours, theirs)
            else:
                assert ours[name] == pytest.approx(theirs[name], rel=1e-5, abs=1e-5), (name, ours, theirs)


def test_two_processes_train_as_one(bench, job):
    one, two = run_in(bench, job, 1), run_in(bench, job, 2)
    assert read(two / "provenance.json")["processes"] == 2
    assert_same_training(one, two)
    assert read(one / "result.json")["metrics"] == pytest.approx(read(two / "result.json")["metrics"], rel=1e-5)


def test_accumulation_trains_as_one_batch(bench, quickstart):
    found = quickstart.job("pretrain", "cae-dvae")
    job = variation(bench, found, longer(found, epochs=4))
    assert_same_training(run_in(bench, job, 1), run_in(bench, job, 1, site="small"))


def test_accumulation_keeps_mixing_groups_together(bench, quickstart):
    """Six images would fit and divide the batch, and would part a group of four."""
    found = quickstart.job("finetune", "imagenet1k-cae-dvae")
    config = longer(found, epochs=20, global_batch=24)
    job = variation(bench, found, config.replace(mixing=config.mixing.replace(group=4)))
    bench.write_site("six", 'device = "cpu"\nper_device_batch = 6\n')
    assert_same_training(run_in(bench, job, 1), run_in(bench, job, 1, site="six"))


def test_knn_is_the_same_on_three_processes(bench, quickstart):
    """20 validation images do not divide by 3: the padded rows of the last process must not count."""
    found = quickstart.job("knn", "cae-pixels")
    job = variation(bench, found, found.config.replace(k=(1, 3)))
    one, three = run_in(bench, job, 1), run_in(bench, job, 3)
    ours, theirs = read(one / "result.json"), read(three / "result.json")
    assert (ours["metrics"], ours["intervals"]) == (theirs["metrics"], theirs["intervals"])


@pytest.mark.slow
def test_torchrun_trains_as_one(bench, quickstart):
    found = quickstart.job("pretrain", "cae-pixels")
    job = variation(bench, found, longer(found, epochs=4))
    one = run_in(bench, job, 1)

    def torchrun():
        launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        environment = {**os.environ, "HOME": str(bench.home), "CAEBENCH_STORE": str(bench.store)}
        done = subprocess.run(
            [*launcher, "-m", "caebench", "run", "job", job.id],
            env={**environment, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
            timeout=PATIENCE,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr

    two = run_apart(bench, job, torchrun)
    assert_same_training(one, two)
    ours, theirs = (load_file(folder / "encoder.safetensors") for folder in (one, two))
    for name, tensor in ours.items():
        torch.testing.assert_close(tensor, theirs[name], rtol=1e-4, atol=1e-5)


def test_a_batch_that_does_not_divide_is_refused(bench, quickstart):
    found = quickstart.job("pretrain", "cae-pixels")
    job = variation(bench, found, longer(found, epochs=1))
    commands = bench.run_processes(3, "run", "job", job.id)
    assert [command.process.exitcode for command in commands] == [1, 1, 1]
    error = read(bench.folder(job) / "failure.json")["error"]
    assert "global_batch 8 does not divide over 3 processes" in error and "another number of processes" in error
