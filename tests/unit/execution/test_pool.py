"""Worker processes: which GPU each sees, and how one that dies is told of."""

import os

import pytest

from caebench.execution import devices, pool
from caebench.execution.pool import Pool, how_it_died
from caebench.specs.site import Site
from caebench.store.store import Store


class FakeProcess:
    """Notes the environment that it is started in."""

    started: list[dict[str, str]]

    def __init__(self, **_: object) -> None:
        self.pid = 0

    def start(self) -> None:
        names = (devices.MASK, "OMP_NUM_THREADS")
        FakeProcess.started.append({name: os.environ[name] for name in names if name in os.environ})

    def join(self) -> None:
        """Nothing runs."""


class FakeContext:
    Process = FakeProcess

    def Pipe(self) -> tuple["FakeContext", "FakeContext"]:
        return self, self

    def close(self) -> None:
        """Nobody reads it."""


@pytest.fixture
def started(monkeypatch):
    FakeProcess.started = []
    monkeypatch.setattr(pool.multiprocessing, "get_context", lambda kind: FakeContext())
    return FakeProcess.started


def run_pool(tmp_path, size, device="auto"):
    with Pool(size, 2, Store(tmp_path), Site.model_validate({"device": device})):
        pass


def test_each_worker_has_a_gpu_of_its_own_in_turn(tmp_path, monkeypatch, started):
    monkeypatch.delenv(devices.MASK, raising=False)
    monkeypatch.setattr(devices, "gpu_names", lambda: ["H100", "H100"])
    run_pool(tmp_path, 3)
    assert [found[devices.MASK] for found in started] == ["0", "1", "0"]
    assert {found["OMP_NUM_THREADS"] for found in started} == {"2"} and devices.MASK not in os.environ


def test_a_mask_that_is_set_is_shared_out(tmp_path, monkeypatch, started):
    monkeypatch.setenv(devices.MASK, "5, GPU-abc")
    run_pool(tmp_path, 2)
    assert [found[devices.MASK] for found in started] == ["5", "GPU-abc"]
    assert os.environ[devices.MASK] == "5, GPU-abc"


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_without_gpus_nothing_is_masked(tmp_path, monkeypatch, started, device):
    monkeypatch.delenv(devices.MASK, raising=False)
    monkeypatch.setattr(devices, "gpu_names", lambda: ["H100"] if device == "cpu" else [])
    run_pool(tmp_path, 2, device)
    assert all(devices.MASK not in found for found in started)


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (-9, ("failed", "its worker process was killed by SIGKILL (out of memory?)")),
        (-11, ("failed", "its worker process was killed by SIGSEGV")),
        (3, ("failed", "its worker process ended with status 3")),
        (-15, ("stopped", "")),  # it was asked to stop before it could hear that
    ],
)
def test_how_a_worker_died_is_told(status, told):
    assert how_it_died(status) == told
