"""One tiny quickstart, run once; tests that go on from it see its finished jobs through links, or take a copy."""

import os
import shutil
from dataclasses import dataclass

import pytest
from helpers import Bench

from caebench import suites
from caebench.config.site import Site
from caebench.execution.local import Outcomes, Watcher, run_plan
from caebench.plan.graph import Job, Plan, make_plan
from caebench.plan.store import Store


@dataclass
class Quickstart:
    """The finished suite."""

    plan: Plan
    store: Store
    outcomes: Outcomes

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

        return Watcher(lambda job: self.started.append(job.id), lambda *_: None, ended)


@pytest.fixture
def log() -> Log:
    return Log([], {})


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Workers share out the cores: with one core each computes in one thread, whose rounding never differs."""
    monkeypatch.setattr(os, "cpu_count", lambda: 1)


@pytest.fixture(scope="session")
def quickstart(tiny, tmp_path_factory) -> Quickstart:
    """The suite `quickstart` at the tests' own scale, run by two workers."""
    store = Store(tmp_path_factory.mktemp("store"))
    plan = make_plan(suites.load("quickstart"), tiny, [0])
    remembered = Log([], {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "cpu_count", lambda: 1)
        outcomes = run_plan(plan.jobs, store, Site(device="cpu"), remembered.watcher, 2)
    assert set(outcomes.by_id.values()) == {"done"}, [reason for reason in remembered.reasons.values() if reason]
    return Quickstart(plan, store, outcomes)


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
