"""One cluster for all tests in this folder. Where SLURM cannot run they are skipped, and pytest's summary says why."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import submitit

from tests.slurm.bench import ROOT, Bench
from tests.slurm.cluster import Cluster
from tests.slurm.install import obstacle

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before -m selects by these marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = obstacle()
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slurm)
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def state() -> Iterator[Path]:
    """A folder for a cluster of a test's own; pytest's paths are too long for sockets, and closed to munged."""
    with tempfile.TemporaryDirectory(prefix="slurm-", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Two nodes of 4 CPUs and 2 GPUs; the folder with its logs stays if a test fails."""
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
    with Cluster(folder) as started:
        yield started
    if not request.session.testsfailed:
        shutil.rmtree(folder)


@pytest.fixture
def login(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """The cluster, and the environment of this process set as on its login node."""
    return log_in(cluster, monkeypatch)


def log_in(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """Set the environment of this process as on a cluster's login node."""
    for name, value in cluster.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=":")  # jobs import what they run by name
    monkeypatch.setenv("CAEBENCH_LOG", "INFO")
    return cluster


@pytest.fixture
def bench(login: Cluster, tmp_path: Path) -> Bench:
    """A store and a site on that cluster."""
    return Bench(tmp_path / "store")


@pytest.fixture
def executor(login: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> submitit.AutoExecutor:
    """submitit on that cluster, looking often. Below 11 minutes it would take every interruption for a time limit."""
    monkeypatch.setattr(submitit.SlurmJob.watcher, "_delay_s", 2)
    monkeypatch.setattr(submitit.SlurmJob, "_results_timeout_s", 2)
    executor = submitit.AutoExecutor(folder=tmp_path / "submitit", cluster="slurm")
    executor.update_parameters(timeout_min=60)
    return executor
