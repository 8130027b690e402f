"""One tiny quickstart, run once; tests that go on from it see its finished jobs through links, or take a copy."""

import fcntl
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path
from types import SimpleNamespace

import pytest

from caebench.execution import pool
from caebench.execution.local import Watcher, run_plan
from caebench.planning.graph import Plan, make_plan
from caebench.specs.job import Job
from caebench.specs.site import Site
from caebench.store.store import Store
from caebench.suites import loading as suites
from tests.helpers import FORKS, Bench

FORKED = SimpleNamespace(get_context=lambda kind: FORKS)  # in place of `multiprocessing`


@dataclass
class Quickstart:
    """The finished suite."""

    plan: Plan
    store: Store

    def job(self, kind: str, name: str) -> Job:
        """The only job of a kind with this word in its name."""
        (found,) = [job for job in self.plan.jobs if job.kind == kind and name in job.name]
        return found


@dataclass
class Log:
    """A watcher that remembers."""

    started: list[str]
    reasons: dict[str, str]

    @property
    def watcher(self) -> Watcher:
        def ended(job: Job, outcome: str, reason: str) -> None:
            self.reasons[job.id] = reason

        return Watcher(lambda job: self.started.append(job.id), lambda *_: None, lambda *_: None, ended)


@pytest.fixture(scope="session", autouse=True)
def fork_server() -> None:
    """Started before `run_plan` blocks a signal to start its workers: all that it forks would have it blocked."""
    forkserver.ensure_running()


@pytest.fixture
def kills(request) -> random.Random:
    """Draws the moments of a test's kills. Where the test fails, pytest shows the seed; CAEBENCH_KILLS sets another."""
    seed = f"{os.environ.get('CAEBENCH_KILLS', '0')} {request.node.name}"
    print(f"kills are drawn with the seed {seed!r}")
    return random.Random(seed)


@pytest.fixture
def log() -> Log:
    return Log([], {})


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Workers share out the cores: with one core each computes in one thread, whose rounding never differs."""
    monkeypatch.setattr(os, "cpu_count", lambda: 1)


@pytest.fixture(autouse=True)
def forked_workers(monkeypatch):
    """Workers are forked from a process that has imported torch; a user's, as in test_plugin.py, import it anew."""
    monkeypatch.setattr(pool, "multiprocessing", FORKED)


def once_a_run(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that the first of pytest's workers makes for all; one whose making failed is made again."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    whole = folder.with_suffix(".whole")
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not whole.exists():
            shutil.rmtree(folder, ignore_errors=True)
            make(folder)
            whole.touch()
    return folder


@pytest.fixture(scope="session")
def quickstart(tiny, tmp_path_factory) -> Quickstart:
    """The suite `quickstart` at the tests' own scale, run by two workers."""
    plan = make_plan(suites.load("quickstart"), tiny, [0])

    def make(root: Path) -> None:
        remembered = Log([], {})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "cpu_count", lambda: 1)
            patch.setattr(pool, "multiprocessing", FORKED)
            outcomes = run_plan(plan.jobs, Store(root), Site(device="cpu"), remembered.watcher, 2)
        assert set(outcomes.by_id.values()) == {"done"}, [reason for reason in remembered.reasons.values() if reason]

    return Quickstart(plan, Store(once_a_run(tmp_path_factory, "quickstart", make)))


@pytest.fixture
def bench(quickstart, tmp_path) -> Bench:
    """A store that holds the finished jobs as links, and a home folder with the site `eager`, which saves often."""
    bench = Bench(tmp_path / "store", tmp_path / "home")
    for folder in quickstart.store.folders():
        link = bench.store / folder.relative_to(quickstart.store.root)
        link.parent.mkdir(parents=True, exist_ok=True)
        os.symlink(folder, link)
    bench.write_site("eager", 'device = "cpu"\ncheckpoint_minutes = 1e-9\n')
    bench.write_site("small", 'device = "cpu"\nper_device_batch = 2\n')
    return bench


@pytest.fixture
def copied(quickstart, tmp_path) -> Store:
    """A copy of the finished store, to damage."""
    shutil.copytree(quickstart.store.root, tmp_path / "copy")
    return Store(tmp_path / "copy")
