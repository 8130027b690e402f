"""What goes wrong at run time ends in a clear error, exit status 1, and nothing that could be taken for a result."""

import json
import os
import re

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from caebench.files.result import read_result, write_result
from caebench.planning.scale import SCALES
from caebench.specs.job import make_job
from caebench.specs.methods.cae import cae
from caebench.store.store import Store
from caebench.training import checkpoint
from caebench.training.distributed import Group
from tests.helpers import longer, metrics, own_copy, read, variation


def run_to_failure(bench, job, site="local", **options):
    """The reason of a job that must fail."""
    command = bench.run("run", "job", job.id, "--site", site, **options)
    folder = bench.folder(job)
    assert command.process.exitcode == 1, command.output
    assert not (folder / "result.json").exists()
    assert Store(bench.store).state(job) == "failed"
    error = read(folder / "failure.json")["error"]
    assert error in command.output
    assert "Traceback" not in command.output
    assert not (folder / "submission.json").exists(), "the claim is given back"
    return error


@pytest.fixture
def probe(quickstart, bench):
    """A short k-NN on a pretrained encoder."""
    found = quickstart.job("knn", "cae-pixels")
    return variation(bench, found, found.config.replace(k=(1, 3)))


@pytest.fixture
def pretraining(quickstart, bench):
    found = quickstart.job("pretrain", "cae-pixels")
    return variation(bench, found, longer(found))


def test_a_truncated_image_is_named_and_heals(quickstart, bench, probe):
    world = own_copy(bench, quickstart.job("synthetic", "imagenet1k"))
    image = sorted((world / "world" / "imagenet" / "train").glob("*/*.JPEG"))[7]
    content = image.read_bytes()
    image.write_bytes(content[: len(content) // 2])
    error = run_to_failure(bench, probe)
    assert str(image) in error and "caebench data check" in error
    image.write_bytes(content)
    assert bench.run("run", "job", probe.id).process.exitcode == 0


def test_data_that_changed_under_an_encoder_is_refused(quickstart, bench, probe):
    world = own_copy(bench, quickstart.job("synthetic", "imagenet1k"))
    next((world / "world" / "imagenet" / "train").glob("*/*.JPEG")).unlink()
    error = run_to_failure(bench, probe)
    assert "imagenet1k/train has fingerprint" in error and "the encoder job saw" in error
    assert "Point the site file to the data" in error


def test_an_encoder_file_of_other_widths_is_refused(quickstart, bench, probe):
    path = own_copy(bench, quickstart.job("pretrain", "cae-pixels")) / "encoder.safetensors"
    with safe_open(path, framework="pt") as file:
        sizes = json.loads(file.metadata()["encoder"])
    sizes["variant"][0] *= 2
    save_file(load_file(path), path, metadata={"encoder": json.dumps(sizes)})
    write_result(path.parent, read_result(path.parent))  # as if the job had written it
    error = run_to_failure(bench, probe)
    assert str(path) in error and "not an encoder of" in error and "expected" in error


def test_a_damaged_encoder_file_is_refused(quickstart, bench, probe):
    path = own_copy(bench, quickstart.job("pretrain", "cae-pixels")) / "encoder.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    error = run_to_failure(bench, probe)
    assert str(path) in error and "Delete its job's folder and run it again" in error


def test_a_checkpoint_of_another_model_is_refused(bench, pretraining):
    folder = bench.folder(pretraining)
    command = bench.start("run", "job", pretraining.id, "--site", "eager")
    assert command.wait_until(lambda: len(list((folder / "checkpoints").glob("*.pt"))) > 0)
    command.process.kill()
    command.wait()
    for path in (folder / "checkpoints").glob("*.pt"):
        state = torch.load(path, weights_only=True)
        state["module"] = {name: value[..., :-1] for name, value in state["module"].items()}
        torch.save(state, path)
    error = run_to_failure(bench, pretraining, "eager")
    assert str(folder / "checkpoints") in error and "another model" in error and "expected" in error


def test_a_full_disk_leaves_nothing_that_looks_complete(bench, pretraining):
    """No file may grow beyond half a checkpoint: what is written must end in an error, and heal where there is room."""
    folder = bench.folder(pretraining)
    error = run_to_failure(bench, pretraining, "eager", limit=200_000)
    assert f"{folder / 'checkpoints' / '000000010.pt'}: cannot be written" in error and "Is the disk full?" in error
    assert list((folder / "checkpoints").iterdir()) == []
    assert checkpoint.read_newest(folder, Group(0, 1, torch.device("cpu"))) is None
    command = bench.run("run", "job", pretraining.id, "--site", "eager")
    assert command.process.exitcode == 0, command.output
    assert [line["step"] for line in metrics(folder) if "loss" in line] == [10, 20, 30, 40, 50, 60]


def test_a_disk_that_fills_up_at_the_end_leaves_no_result(bench, pretraining):
    """Checkpoints are rare on the default site: the encoder file is what finds the disk full."""
    folder = bench.folder(pretraining)
    error = run_to_failure(bench, pretraining, limit=100_000)
    assert "File too large" in error
    assert not (folder / "encoder.safetensors").exists()


def test_an_input_that_is_not_done_is_named(quickstart, bench, probe):
    encoder = own_copy(bench, quickstart.job("pretrain", "cae-pixels"))
    (encoder / "result.json").unlink()
    error = run_to_failure(bench, probe)
    assert encoder.name in error and "caebench run job" in error


@pytest.mark.parametrize(
    ("root", "said"),
    [
        (None, "site file, [data] imagenet1k: not set. Name there the folder that holds train/ and val/."),
        ("/nowhere", "/nowhere: no such folder or file, wanted as the root of imagenet1k"),
    ],
)
def test_real_data_that_is_not_there_is_said_clearly(bench, root, said):
    job = make_job(SCALES["paper"].apply(cae(target="pixels"))).inputs["data"]
    Store(bench.store).prepare(job)
    bench.write_site("cluster", 'device = "cpu"\n' + (f'[data]\nimagenet1k = "{root}"\n' if root else ""))
    assert said in run_to_failure(bench, job, "cluster")


def test_a_dalle_encoder_that_is_not_there_is_said_clearly(bench):
    job = make_job(SCALES["paper"].apply(cae(target="dalle"))).inputs["tokenizer"]
    Store(bench.store).prepare(job)
    assert "[assets] dalle_encoder: not set" in run_to_failure(bench, job)


def test_a_diverging_job_stops_and_says_where(quickstart, bench):
    found = quickstart.job("pretrain", "cae-pixels")
    job = variation(bench, found, longer(found, base_lr=1e30, warmup_epochs=0.0, clip_grad=None))
    error = run_to_failure(bench, job)
    assert re.search(r"Diverged: .*: (loss|grad_norm) is (nan|inf) at step \d of 60\. .*lower base_lr", error), error


def test_a_job_that_runs_is_not_started_twice(bench, pretraining):
    folder = bench.folder(pretraining)
    first = bench.start("run", "job", pretraining.id)
    assert first.wait_until(lambda: len(metrics(folder)) > 0), first.output
    second = bench.run("run", "job", pretraining.id)
    assert second.process.exitcode == 2
    assert "already running" in second.output and "submission.json" in second.output
    assert first.wait() == 0, first.output
    assert len([line for line in metrics(folder) if "loss" in line]) == 6


def test_a_damaged_job_file_is_named(bench, pretraining):
    path = bench.folder(pretraining) / "job.json"
    path.write_text(path.read_text()[:50])
    command = bench.run("run", "job", pretraining.id)
    assert command.process.exitcode == 1
    assert f"{path}: damaged" in command.output and os.linesep in command.output
