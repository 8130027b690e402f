"""Segmentation keeps the contract of every stage: killed and resumed equals unbroken, processes, bad data."""

import json
import os
import random
import signal

import pytest
import torch
from helpers import last_step, metrics, read, variation

STEPS = 30


@pytest.fixture
def segmentation(quickstart, bench):
    """UperNet with stochastic depth and dropout, 30 steps."""
    job = quickstart.job("segmentation", "cae-pixels")
    assert job.config.drop_path > 0
    changed = job.config.optimization.replace(iterations=STEPS, warmup_iterations=5, lr=2e-3)
    return variation(bench, job, job.config.replace(optimization=changed))


def run(bench, job, site):
    command = bench.run("run", "job", job.id, "--site", site, keep_checkpoints=True)
    assert command.wait() == 0, command.output
    return bench.folder(job)


def test_killed_and_resumed_equals_unbroken(bench, segmentation):
    folder = run(bench, segmentation, "local")  # which saves at the end alone
    kept = folder.rename(bench.store / "unbroken")
    folder.mkdir()
    (folder / "job.json").write_bytes((kept / "job.json").read_bytes())
    for step in sorted(random.sample((10, 20), 1)):
        command = bench.start("run", "job", segmentation.id, "--site", "eager")
        assert command.wait_until(lambda reached=step: last_step(folder) >= reached), command.output
        command.wait_until(lambda: random.random() < 0.03)
        os.kill(command.process.pid, signal.SIGKILL)
        assert command.wait() == -signal.SIGKILL
        assert not (folder / "result.json").exists()
    run(bench, segmentation, "eager")
    result = read(folder / "result.json")["metrics"]
    assert result == read(kept / "result.json")["metrics"] and result["mIoU"] > 0
    assert metrics(folder) == metrics(kept)
    name = f"checkpoints/{STEPS:09d}.pt"
    ours, theirs = (torch.load(where / name, weights_only=True) for where in (folder, kept))
    assert ours["module"].keys() == theirs["module"].keys()
    assert [key for key, value in theirs["module"].items() if not torch.equal(value, ours["module"][key])] == []
    for number, state in theirs["optimizer"]["state"].items():
        assert all(torch.equal(value, ours["optimizer"]["state"][number][key]) for key, value in state.items())


def test_what_a_job_leaves(quickstart):
    folder = quickstart.store.root / quickstart.job("segmentation", "cae-pixels").name
    table = (folder / "per_class.csv").read_text(encoding="utf8").splitlines()
    assert table[0] == "class,IoU,accuracy" and len(table) == 1 + 18
    assert len(list((folder / "pictures").glob("*.png"))) == 2
    assert {path.name for path in folder.iterdir()} == {
        *("job.json", "metrics.jsonl", "per_class.csv", "pictures", "provenance.json", "result.json"),
    }
    assert set(read(folder / "result.json")["fingerprints"]) == {"ade20k/train", "ade20k/val"}
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf8").splitlines()]
    assert lines[-1]["step"] == 16 and lines[-1]["loss"] > 0


def test_two_processes_train_and_evaluate_together(bench, segmentation):
    commands = bench.run_processes(2, "run", "job", segmentation.id, "--site", "local")
    assert [command.wait() for command in commands] == [0, 0], commands[0].output
    assert read(bench.folder(segmentation) / "result.json")["metrics"]["aAcc"] > 0


def test_a_small_device_accumulates(bench, segmentation):
    bench.write_site("tiny", 'device = "cpu"\nper_device_batch = 1\n')
    folder = run(bench, segmentation, "tiny")
    assert last_step(folder) == STEPS
