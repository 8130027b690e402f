"""What cannot be is refused before a run starts."""

from types import SimpleNamespace

import pytest

from caebench.execution import devices, preflight
from caebench.execution.preflight import preflight_jobs
from caebench.planning.graph import make_plan
from caebench.specs.inputs.random_encoder import random_encoder
from caebench.specs.job import make_job
from caebench.specs.site import Site
from caebench.store.store import Store
from caebench.suites import loading as suites

JOBS = [make_job(random_encoder("vit_b"))]


@pytest.fixture
def no_driver(monkeypatch, tmp_path):
    monkeypatch.delenv(devices.MASK, raising=False)
    monkeypatch.setattr(devices, "gpu_names", list)
    monkeypatch.setattr(devices, "DRIVERS", (tmp_path / "driver",))
    return tmp_path / "driver"


def test_a_gpu_that_is_not_here_is_refused(no_driver, tmp_path):
    with pytest.raises(
        ValueError, match=r'site file, device = "cuda": this machine has no GPU, .* Set device = "auto"'
    ):
        preflight_jobs(JOBS, Site(device="cuda"), Store(tmp_path))
    preflight_jobs(JOBS, Site(device="auto"), Store(tmp_path))
    preflight_jobs([], Site(device="cuda"), Store(tmp_path))


def test_a_driver_without_its_tools_may_have_one(no_driver, tmp_path):
    no_driver.mkdir()
    preflight_jobs(JOBS, Site(device="cuda"), Store(tmp_path))


def test_gpus_that_are_hidden_are_refused(no_driver, tmp_path, monkeypatch):
    monkeypatch.setenv(devices.MASK, "")
    with pytest.raises(ValueError, match="CUDA_VISIBLE_DEVICES='' hides all GPUs"):
        preflight_jobs(JOBS, Site(device="cuda"), Store(tmp_path))


def test_a_small_amount_of_missing_disk_is_in_megabytes(tiny, tmp_path, monkeypatch):
    jobs = make_plan(suites.load("quickstart"), tiny, [0]).jobs[-6:]
    needed = sum(job.config.disk_bytes(job.inputs) for job in jobs)
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda path: SimpleNamespace(free=2_000_000))
    assert 2_500_000 < needed < 100_000_000, "the test needs a small plan"
    with pytest.raises(ValueError, match=rf": 2 MB free, {needed / 1e6:.0f} MB needed\. Free some, or use --store\."):
        preflight_jobs(jobs, Site(), Store(tmp_path))
