"""A code cache changes no number: weights equal those made without it, bit for bit; damage is reported."""

import os
import shutil
import signal

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from caebench.data.codes import checksum
from caebench.data.randomness import Purpose, generator
from caebench.execution.local import Watcher, run_plan
from caebench.files.layout import epoch_file
from caebench.files.result import read_result, write_result
from caebench.planning.code_caches import with_code_caches
from caebench.planning.graph import Plans, make_plan
from caebench.specs.inputs.code_cache import CODES
from caebench.specs.job import Job, make_job
from caebench.specs.site import Site
from caebench.store.store import Store
from caebench.suites import loading as suites
from tests.helpers import Bench, metrics, read

SUITE = """
source = { title = "Pretrainings that share codes" }
pretrain = { variant = "vit_s", epochs = 300 }
columns.knn = { header = "k-NN", eval = "knn" }
rows = [
    { label = "CAE", recipe = "cae", target = "dvae" },
    { label = "CAE, longer", recipe = "cae", target = "dvae", epochs = 400, set.method.masking.ratio = 0.4 },
    { label = "BEiT", recipe = "beit" },
    { label = "BEiT, no stochastic depth", recipe = "beit", set.method.drop_path = 0.0 },
]
"""
CPU = Site(device="cpu", per_device_batch=7)  # so the cache is made in other batches than training takes
FIRST = int(generator(Purpose.ORDER, 0, 0).permutation(40)[0])  # the image that training sees first
WATCHER = Watcher(lambda *_: None, lambda *_: None, lambda *_: None, lambda *_: None)


@pytest.fixture(scope="module")
def plain(tiny, tmp_path_factory) -> Plans:
    path = tmp_path_factory.mktemp("suite") / "shared.toml"
    path.write_text(SUITE, encoding="utf8")
    return Plans("shared", (make_plan(suites.load(str(path)), tiny, [0]),))


@pytest.fixture(scope="module")
def cached(plain) -> Plans:
    return with_code_caches(plain, 1.0, lambda job: False)


def run(plans: Plans, root) -> Store:
    """Everything but the evaluations, in one worker."""
    store = Store(root)
    jobs = [job for job in plans.jobs if job.kind != "knn"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "cpu_count", lambda: 1)
        outcomes = run_plan(jobs, store, CPU, WATCHER, 1)
    assert set(outcomes.by_id.values()) <= {"done", "cached"}
    return store


@pytest.fixture(scope="module")
def without(plain, tmp_path_factory) -> Store:
    return run(plain, tmp_path_factory.mktemp("without"))


@pytest.fixture(scope="module")
def using(cached, without, tmp_path_factory) -> Store:
    """With the same data and tokenizers."""
    root = tmp_path_factory.mktemp("with")
    for folder in ("data", "tokenizer"):
        shutil.copytree(without.root / folder, root / folder)
    return run(cached, root)


@pytest.fixture
def bench(using, tmp_path) -> Bench:
    """A copy of the store with caches, to damage."""
    shutil.copytree(using.root, tmp_path / "store")
    bench = Bench(tmp_path / "store", tmp_path / "home")
    bench.write_site("small", 'device = "cpu"\nper_device_batch = 7\n')
    return bench


def pretrainings(plans: Plans) -> list[Job]:
    return [job for job in plans.jobs if job.kind == "pretrain"]


def test_weights_are_those_without_a_cache(plain, cached, without, using):
    ours, theirs = pretrainings(cached), pretrainings(plain)
    assert [job.name for job in ours] == [job.name for job in theirs] and len(ours) == 4
    assert all(CODES in job.optional_inputs for job in ours)
    assert len({job.optional_inputs[CODES].id for job in ours}) == 2
    for job in ours:
        one, other = using.folder(job), without.folder(job)
        assert read(one / "provenance.json")["optional_inputs"] == {
            CODES: using.folder(job.optional_inputs[CODES]).name
        }
        assert "optional_inputs" not in read(other / "provenance.json")
        assert metrics(one) == metrics(other)
        for load, name in ((load_file, "encoder.safetensors"), (torch.load, "model.pt")):
            mine, known = load(one / name), load(other / name)
            assert mine.keys() == known.keys() and all(torch.equal(mine[key], known[key]) for key in mine)


def test_a_cached_epoch_makes_no_view_and_runs_no_tokenizer(bench, cached):
    from caebench.data.codes import CodeCache
    from caebench.data.samples.cached_codes import CachedSample

    job = pretrainings(cached)[0]
    config = job.optional_inputs[CODES].config
    cache = CodeCache(bench.folder(job.optional_inputs[CODES]), config, 40)
    made, image = [], Image.new("RGB", (4, 4))

    def make_sample(image, label, key, with_view=True):
        made.append(with_view)
        return {"image": image}

    sample = CachedSample(make_sample, cache)
    assert "codes" in sample(image, 0, (config.epochs - 1, 39)) and "codes" not in sample(image, 0, (config.epochs, 0))
    assert made == [False, True]


def start_afresh(bench: Bench, job: Job) -> None:
    """Forget what the pretraining has made."""
    kept = (bench.folder(job) / "job.json").read_bytes()
    shutil.rmtree(bench.folder(job))
    bench.folder(job).mkdir()
    (bench.folder(job) / "job.json").write_bytes(kept)


def change(path, place: int) -> None:
    """Another byte in the file."""
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def other_codes(path, epoch: int) -> None:
    """A file of another tokenizer, with checksums of its own."""
    rows = np.load(path)
    rows[:, 0] ^= 1
    rows[:, -1] = [checksum(row[:-1], (epoch, place)) for place, row in enumerate(rows)]
    np.save(path, rows)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: change(path, -5 - (39 - FIRST) * 2 * 37), f"the codes of image {FIRST} are damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "not the codes of 40 images"),
        (lambda path: path.unlink(), "cannot be read as an epoch's codes"),
        (lambda path: other_codes(path, 0), "codes are not those that this job computes"),
    ],
    ids=["byte", "short", "gone", "other"],
)
def test_a_damaged_file_is_reported(bench, cached, damage, said):
    job = pretrainings(cached)[0]
    start_afresh(bench, job)
    path = epoch_file(bench.folder(job.optional_inputs[CODES]), 0)
    damage(path)
    command = bench.run("run", "job", job.id, "--site", "small")
    assert command.process.exitcode == 1
    assert str(path) in command.output and said in command.output and "Delete the folder" in command.output


def test_a_cache_that_is_gone_is_no_error(bench, cached, without):
    job = pretrainings(cached)[0]
    start_afresh(bench, job)
    shutil.rmtree(bench.folder(job.optional_inputs[CODES]))
    assert bench.run("run", "job", job.id, "--site", "small").process.exitcode == 0
    assert metrics(bench.folder(job)) == metrics(without.folder(job))


@pytest.fixture
def long_cache(bench, cached) -> Job:
    """A cache of enough epochs to be killed in."""
    config = pretrainings(cached)[0].optional_inputs[CODES].config
    job = make_job(config.replace(epochs=150))
    Store(bench.store).prepare(job)
    return job


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.slow
def test_killed_and_resumed_equals_uninterrupted(bench, long_cache, number):
    folder = bench.folder(long_cache)
    command = bench.start("run", "job", long_cache.id, "--site", "small")
    assert command.wait_until(epoch_file(folder, 20).exists), command.output
    os.kill(command.process.pid, number)
    assert command.wait() != 0
    assert not (folder / "result.json").exists() and not epoch_file(folder, 149).exists()
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*.npy")}
    assert bench.run("run", "job", long_cache.id, "--site", "small").process.exitcode == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before
    kept = {epoch: epoch_file(folder, epoch).read_bytes() for epoch in range(150)}
    shutil.rmtree(folder)
    Store(bench.store).prepare(long_cache)
    assert bench.run("run", "job", long_cache.id).process.exitcode == 0
    assert kept == {epoch: epoch_file(folder, epoch).read_bytes() for epoch in range(150)}
    assert not list(folder.glob("*.partial"))


def test_two_processes_write_the_same_files(bench, cached):
    cache = pretrainings(cached)[2].optional_inputs[CODES]
    before = {path.name: path.read_bytes() for path in bench.folder(cache).glob("*.npy")}
    shutil.rmtree(bench.folder(cache))
    Store(bench.store).prepare(cache)
    for command in bench.run_processes(2, "run", "job", cache.id, "--site", "small"):
        assert command.process.exitcode == 0, command.output
    assert before == {path.name: path.read_bytes() for path in bench.folder(cache).glob("*.npy")}


def test_codes_of_a_recomputed_input_are_deleted(bench, cached):
    cache = pretrainings(cached)[0].optional_inputs[CODES]
    tokenizer = bench.folder(cache.inputs["tokenizer"])
    write_result(tokenizer, {**read_result(tokenizer), "finished": "later"})
    change(path := epoch_file(bench.folder(cache), 0), -1)
    broken = path.read_bytes()
    assert Store(bench.store).state(cache) == "todo"
    (bench.folder(cache) / "result.json").unlink()
    assert bench.run("run", "job", cache.id, "--site", "small").process.exitcode == 0
    assert path.read_bytes() != broken
