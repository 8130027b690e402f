"""One cluster for all tests in this folder. Where SLURM cannot run they are skipped, and pytest's summary says why.

A test marked `begins(function)` has its jobs submitted by that function. All that are to run are submitted at once,
before the first of them waits: so they wait together.
"""

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import submitit

from caebench.execution.worker import run_job
from caebench.specs.scale import Scale
from caebench.specs.site import Site
from caebench.store.store import Store
from tests.slurm.bench import ROOT, Bench, pretraining
from tests.slurm.cluster import Cluster
from tests.slurm.install import obstacle
from tests.slurm.scenes import Scene, has_begun

HERE = Path(__file__).parent
ALONE = ("test_cluster.py", "test_site.py")  # want the cluster for themselves


@pytest.hookimpl(tryfirst=True)  # before -m selects by these marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = obstacle()
    ours = [item for item in items if HERE in item.path.parents]
    for item in ours:
        item.add_marker(pytest.mark.slurm)
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))
    items[:] = [*sorted(ours, key=turn), *(item for item in items if HERE not in item.path.parents)]


def turn(item: pytest.Item) -> tuple[bool, bool, bool]:
    """When a test runs: first those that want the cluster for themselves, last those that only wait for their jobs."""
    return item.get_closest_marker("slow") is not None, item.path.name not in ALONE, has_begun(item) is not None


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
def executor(login: Cluster, tmp_path: Path) -> submitit.AutoExecutor:
    """submitit on that cluster. Below 11 minutes it would take every interruption for a time limit."""
    executor = submitit.AutoExecutor(folder=tmp_path / "submitit", cluster="slurm")
    executor.update_parameters(timeout_min=60)
    return executor


@pytest.fixture(scope="session")
def rendered(tiny: Scale, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with the data that pretrainings here read."""
    store = Store(tmp_path_factory.mktemp("rendered"))
    data = pretraining(tiny, epochs=1).inputs["data"]
    assert run_job(store.prepare(data), store.root, Site(device="cpu")) == "done"
    return store


@pytest.fixture(scope="session")
def begun(
    request: pytest.FixtureRequest,
    cluster: Cluster,
    tiny: Scale,
    rendered: Store,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[Callable[[Scene], Any], Any]:
    """What has become of every function that submits a test's jobs: what it returned, or its error."""
    found: dict[Callable[[Scene], Any], Any] = {}
    for begin in dict.fromkeys(filter(None, map(has_begun, request.session.items))):
        with pytest.MonkeyPatch.context() as environment:
            log_in(cluster, environment)
            scene = Scene(tmp_path_factory.mktemp(begin.__name__), cluster, tiny, rendered, environment)
            try:
                found[begin] = begin(scene)
            except Exception as error:  # the test's own, and no other test's
                found[begin] = error
    return found


@pytest.fixture(autouse=True)
def others_begin(request: pytest.FixtureRequest) -> None:
    """Once those that want the cluster are through, what other tests have to run runs while the rest is at work."""
    if request.path.name not in ALONE and not request.node.get_closest_marker("slow"):
        request.getfixturevalue("begun")


@pytest.fixture
def started(request: pytest.FixtureRequest, login: Cluster, begun: dict[Callable[[Scene], Any], Any]) -> Any:
    """What this test's function has returned."""
    begin = has_begun(request.node)
    assert begin is not None, "give the test the mark `begins`"
    if isinstance(begun[begin], Exception):
        raise begun[begin]
    return begun[begin]


@pytest.fixture
def commands(login: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Counter[str]]:
    """How often SLURM's commands have been called since this was asked last."""
    calls, folder = tmp_path / "calls", tmp_path / "counting"
    folder.mkdir()
    for name in ("sbatch", "squeue", "sacct", "scontrol"):
        script = folder / name
        script.write_text(f'#!/bin/sh\necho {name} >> {calls}\nexec {shutil.which(name)} "$@"\n', encoding="utf8")
        script.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)

    def since() -> Counter[str]:
        found = Counter(calls.read_text(encoding="utf8").split() if calls.exists() else ())
        calls.unlink(missing_ok=True)
        return found

    return since
