"""Dense tasks keep the contract of every stage: killed and resumed equals unbroken, processes, bad data."""

import os
import signal

import pytest
import torch

from caebench.datasets.registry import DATASETS
from caebench.specs.job import make_job
from caebench.specs.registry import EVALUATIONS
from caebench.store.store import Store
from tests.helpers import KEPT, last_step, metrics, own_copy, read

STEPS = 30
BATCH = 4


def prepared(bench, quickstart, config):
    """A dense job on the encoder of CAE with pixels."""
    new = make_job(config, encoder=quickstart.job("pretrain", "cae-pixels"))
    Store(bench.store).prepare(new)
    return new


@pytest.fixture
def segmentation(quickstart, bench, tiny):
    """UperNet with stochastic depth and dropout, 30 steps."""
    config = tiny.apply(EVALUATIONS["ade20k"]())
    assert config.drop_path > 0
    changed = config.optimization.replace(iterations=STEPS, warmup_iterations=5, global_batch=BATCH, lr=1e-2)
    return prepared(bench, quickstart, config.replace(optimization=changed))


def run(bench, job, site):
    command = bench.run("run", "job", job.id, "--site", site, keep_checkpoints=True)
    assert command.wait() == 0, command.output
    return bench.folder(job)


def kill_and_resume(bench, job, kills):
    """Run a job unbroken, then again with a SIGKILL some time after a step; returns both folders."""
    folder = run(bench, job, "local")  # which saves at the end alone
    kept = bench.set_aside(job, "unbroken")
    after = kills.choice((10, 20))
    command = bench.start("run", "job", job.id, "--site", "eager")
    assert command.wait_until(lambda: last_step(folder) >= after), command.output
    command.wait_until(lambda: kills.random() < 0.05)
    os.kill(command.process.pid, signal.SIGKILL)
    assert command.wait() == -signal.SIGKILL
    assert not (folder / "result.json").exists()
    return run(bench, job, "eager"), kept


def assert_equal_to_the_bit(folder, kept, steps):
    """Same result, same intervals, same metrics, same weights and optimizer state."""
    ours, theirs = read(folder / "result.json"), read(kept / "result.json")
    assert (ours["metrics"], ours["intervals"]) == (theirs["metrics"], theirs["intervals"])
    assert metrics(folder) == metrics(kept)
    name = f"{KEPT}/{steps:09d}.pt"
    ours, theirs = (torch.load(where / name, weights_only=True) for where in (folder, kept))
    assert ours["module"].keys() == theirs["module"].keys()
    assert [key for key, value in theirs["module"].items() if not torch.equal(value, ours["module"][key])] == []
    for number, state in theirs["optimizer"]["state"].items():
        assert all(torch.equal(value, ours["optimizer"]["state"][number][key]) for key, value in state.items())


def assert_measured(result, config):
    """Every number of the evaluation, each with an interval."""
    assert set(config.METRICS) == set(result["intervals"]) <= set(result["metrics"])
    assert all(0 <= low <= high <= 100 for low, high in result["intervals"].values())


def test_killed_and_resumed_equals_uninterrupted(bench, segmentation, kills):
    folder, kept = kill_and_resume(bench, segmentation, kills)
    assert_equal_to_the_bit(folder, kept, STEPS)
    assert read(folder / "result.json")["metrics"]["mIoU"] > 0


@pytest.mark.slow
def test_detection_killed_and_resumed_equals_uninterrupted(bench, quickstart, tiny, kills):
    config = tiny.apply(EVALUATIONS["coco"]()).replace(seed=2)
    changed = config.optimization.replace(iterations=STEPS, warmup_iterations=5, lr=2e-3)
    job = prepared(bench, quickstart, config.replace(optimization=changed))
    assert_equal_to_the_bit(*kill_and_resume(bench, job, kills), STEPS)


LEFT = {"attempts.jsonl", "job.json", "metrics.jsonl", "per_class.csv", "pictures", "provenance.json", "result.json"}


def test_what_segmentation_leaves(bench, segmentation):
    assert bench.run("run", "job", segmentation.id).wait() == 0
    folder = bench.folder(segmentation)
    table = (folder / "per_class.csv").read_text(encoding="utf8").splitlines()
    assert table[0] == "class,IoU,accuracy" and len(table) == 1 + DATASETS["ade20k"].num_rendered_classes
    assert len(list((folder / "pictures").glob("*.png"))) == 4
    assert {path.name for path in folder.iterdir()} == LEFT
    assert_measured(read(folder / "result.json"), segmentation.config)
    assert set(read(folder / "result.json")["fingerprints"]) == {"ade20k/train", "ade20k/val"}
    assert metrics(folder)[-1]["step"] == STEPS and metrics(folder)[-1]["loss"] > 0


@pytest.mark.parametrize("recipe", ["coco", pytest.param("coco_cascade", marks=pytest.mark.slow)])
def test_what_detection_leaves(bench, quickstart, tiny, recipe):
    config = tiny.apply(EVALUATIONS[recipe]())
    job = prepared(bench, quickstart, config)
    command = bench.run("run", "job", job.id)
    assert command.wait() == 0, command.output
    folder = bench.folder(job)
    assert {path.name for path in folder.iterdir()} == LEFT
    num_lines = len((folder / "per_class.csv").read_text(encoding="utf8").splitlines())
    assert num_lines == 1 + DATASETS["coco"].num_rendered_classes
    assert set(read(folder / "result.json")["metrics"]) == set(config.METRICS)
    assert_measured(read(folder / "result.json"), config)


def test_a_missing_label_map_stops_the_job_before_it_trains(bench, segmentation):
    world = own_copy(bench, segmentation.inputs["data"])
    (gone,) = (world / "world/ADEChallengeData2016/annotations/training").glob("*00000001.png")
    gone.unlink()
    command = bench.run("run", "job", segmentation.id)
    assert command.wait() == 1 and gone.name in command.output and "no such file" in command.output
    assert not (bench.folder(segmentation) / "metrics.jsonl").exists()


def test_two_processes_train_and_evaluate_together(bench, segmentation):
    commands = bench.run_processes(2, "run", "job", segmentation.id, "--site", "local")
    assert [command.wait() for command in commands] == [0, 0], commands[0].output
    result = read(bench.folder(segmentation) / "result.json")
    assert result["metrics"]["aAcc"] > 0
    assert_measured(result, segmentation.config)


def test_two_processes_detect_together(bench, quickstart, tiny):
    """Each process sees half of the validation images; the metric is of all of them."""
    job = prepared(bench, quickstart, tiny.apply(EVALUATIONS["coco"]()).replace(seed=1))
    commands = bench.run_processes(2, "run", "job", job.id, "--site", "local")
    assert [command.wait() for command in commands] == [0, 0], commands[0].output
    assert len(list((bench.folder(job) / "pictures").glob("*.png"))) == 2
    assert_measured(read(bench.folder(job) / "result.json"), job.config)


@pytest.mark.slow
def test_loader_processes_change_nothing(bench, segmentation):
    bench.write_site("loaders", 'device = "cpu"\nnum_workers = 2\n')
    kept = run(bench, segmentation, "local").rename(bench.store / "alone")
    Store(bench.store).prepare(segmentation)
    folder = run(bench, segmentation, "loaders")
    assert metrics(folder) == metrics(kept)
    assert read(folder / "result.json")["metrics"] == read(kept / "result.json")["metrics"]


@pytest.mark.parametrize(("recipe", "leaves"), [("linear_segmentation", True), ("knn_segmentation", False)])
def test_frozen_probes_of_segmentation(bench, quickstart, tiny, recipe, leaves):
    job = prepared(bench, quickstart, tiny.apply(EVALUATIONS[recipe]()))
    folder = run(bench, job, "local")
    assert read(folder / "result.json")["metrics"]["mIoU"] > 0
    assert_measured(read(folder / "result.json"), job.config)
    assert {path.name for path in folder.iterdir()} - {KEPT} == LEFT - (set() if leaves else {"metrics.jsonl"})


def test_a_small_device_accumulates(bench, segmentation):
    bench.write_site("small", 'device = "cpu"\nper_device_batch = 2\n')
    folder = run(bench, segmentation, "small")
    assert last_step(folder) == STEPS
    (kept,) = (folder / KEPT).glob("*.pt")
    norms = torch.load(kept, weights_only=True)["module"]
    assert norms["decode_head.fpn_bottleneck.bn.num_batches_tracked"] == STEPS * BATCH // 2


def test_a_device_for_one_image_is_refused_before_training(bench, segmentation):
    bench.write_site("one", 'device = "cpu"\nper_device_batch = 1\n')
    command = bench.run("run", "job", segmentation.id, "--site", "one")
    assert command.wait() == 1 and "per_device_batch" in command.output and "at least 2" in command.output
    assert not (bench.folder(segmentation) / "metrics.jsonl").exists()
