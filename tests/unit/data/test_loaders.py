"""Loader processes hear no signal that asks for a stop, work under every start method, and end with their parent."""

import ast
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import caebench
from caebench.data.loaders import STOPS, Loader
from caebench.data.loading import Samples, evaluation_loader
from caebench.data.samples.labelled import LabelledSample
from caebench.data.transforms import evaluation
from caebench.datasets.splits import ImageSplit
from caebench.specs.pixel_stats import NAMED
from caebench.training import signals

NUM, BATCH = 12, 2
SPAWN = pytest.param("spawn", marks=pytest.mark.slow)  # each process imports torch


@pytest.fixture
def start_method(request):
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method(request.param, force=True)
    yield request.param
    multiprocessing.set_start_method(before, force=True)


@pytest.fixture
def samples(tmp_path):
    """A split that is small when decoded, and is kept."""
    rng = np.random.default_rng(0)
    for number in range(NUM):
        Image.fromarray(rng.integers(0, 255, (8, 8, 3)).astype(np.uint8)).save(tmp_path / f"{number}.png")
    split = ImageSplit(tmp_path, [(f"{number}.png", number % 3) for number in range(NUM)], "")
    return Samples(split, LabelledSample(evaluation(8, NAMED["imagenet"]), 0))


def images(loader):
    return torch.cat([batch["image"] for batch in loader])


def test_they_are_the_signals_that_ask_a_job_to_stop():
    assert set(STOPS) == set(signals.SIGNALS)


@pytest.mark.parametrize("start_method", [pytest.param("fork", marks=pytest.mark.slow), "spawn"], indirect=True)
def test_a_split_that_is_kept_in_memory_goes_to_loader_processes(samples, start_method):
    """Its cache is of this process alone: it cannot be pickled."""
    expected = images(evaluation_loader(samples, 0, 1, BATCH, 0))
    assert hasattr(samples._open, "cache_info") and samples._open.cache_info().currsize == NUM
    assert torch.equal(images(evaluation_loader(samples, 0, 1, BATCH, 2)), expected)


@pytest.mark.parametrize("start_method", ["fork", SPAWN], indirect=True)
def test_a_signal_to_loader_processes_at_any_moment_loses_no_batch(samples, start_method):
    """Also right after their start, before they have run a line of ours."""
    expected = images(evaluation_loader(samples, 0, 1, BATCH, 0))
    batches = iter(evaluation_loader(samples, 0, 1, BATCH, 2))
    found = []
    for number in range(NUM // BATCH):
        for process in batches._workers:
            for stop in STOPS:
                os.kill(process.pid, stop)
        found.append(next(batches)["image"])
        time.sleep(0.02 * number)
    assert torch.equal(torch.cat(found), expected)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) & set(STOPS) == set()


def test_a_signal_that_arrives_while_they_start_arrives_here(samples, monkeypatch):
    seen, before = [], signal.signal(signal.SIGUSR2, lambda *_: seen.append("here"))
    start = multiprocessing.process.BaseProcess.start

    def interrupted(process):
        os.kill(os.getpid(), signal.SIGUSR2)
        start(process)

    monkeypatch.setattr(multiprocessing.process.BaseProcess, "start", interrupted)
    batches = iter(evaluation_loader(samples, 0, 1, BATCH, 1))
    assert seen == ["here"] and len(list(batches)) == NUM // BATCH
    signal.signal(signal.SIGUSR2, before)


SCRIPT = """
import multiprocessing, os, sys, time
from caebench.data.loaders import Loader

def wait(keys):
    return keys

if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    batches = iter(Loader(range(100), batch_size=1, num_workers=2, collate_fn=wait))
    next(batches)
    print(*(process.pid for process in batches._workers), flush=True)
    if sys.argv[2] == "killed":
        time.sleep(600)
"""


def gone(pid):
    """Whether there is no such process, or only what its parent has not waited for."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.parametrize("how", ["killed", pytest.param("over", marks=pytest.mark.slow)])
@pytest.mark.parametrize("method", ["fork", SPAWN])
def test_they_end_with_their_parent(method, how, tmp_path):
    """One that is killed, and one that ends with a loader at work."""
    (tmp_path / "script.py").write_text(textwrap.dedent(SCRIPT))
    command = [sys.executable, str(tmp_path / "script.py"), method, how]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = parent.stdout.readline().split()
        assert len(pids) == 2
        if how == "killed":
            parent.kill()
        assert parent.wait(60) == (-signal.SIGKILL if how == "killed" else 0)
    end = time.monotonic() + 60
    while not all(map(gone, pids)) and time.monotonic() < end:
        time.sleep(0.1)
    assert all(map(gone, pids))


def test_no_other_loader_has_processes():
    """Each call with a number of processes is of `Loader`."""
    calls = [
        (path.name, node.func.id)
        for path in Path(caebench.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        if node.func.id in ("DataLoader", "Loader") and "num_workers" in {part.arg for part in node.keywords}
    ]
    assert sorted(calls) == [("codes.py", "Loader"), ("engine.py", "Loader"), ("loading.py", "Loader")]


def test_without_processes_it_is_torchs():
    assert [batch.tolist() for batch in Loader(range(4), batch_size=2, num_workers=0)] == [[0, 1], [2, 3]]
