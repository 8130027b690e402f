"""Stand-ins for SLURM's commands, and a job of SLURM to be in."""

import pytest

from caebench.execution.schedulers.slurm import queue
from tests.fake_slurm import FakeSlurm


@pytest.fixture
def fake_slurm(tmp_path, monkeypatch) -> FakeSlurm:
    return FakeSlurm(tmp_path, monkeypatch)


@pytest.fixture
def in_job(monkeypatch):
    """This process is the first one of SLURM job 7, and asks again after hundredths of a second."""
    monkeypatch.setattr(queue, "FIRST_PAUSE", 0.01)
    for name, value in {"SLURM_JOB_ID": "7", "SLURM_PROCID": "0"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("SLURM_ARRAY_JOB_ID", raising=False)
