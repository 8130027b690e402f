"""A run on this machine: which GPU a worker process sees."""

import os

import pytest

from caebench.config.site import Site
from caebench.execution import devices, local
from caebench.execution.local import Pool
from caebench.plan.store import Store


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

    def Queue(self) -> "FakeContext":
        return self

    def put(self, item: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def started(monkeypatch):
    FakeProcess.started = []
    monkeypatch.setattr(local.multiprocessing, "get_context", lambda kind: FakeContext())
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
