"""A suite of four jobs that takes seconds: a world, a pretraining and two probes; for faults that strike whole runs."""

import importlib
import multiprocessing
import os
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import caebench
from caebench.execution import local, pool, preflight
from caebench.files.layout import ENCODER, RESULT, id_in
from caebench.files.result import read_result
from caebench.planning import scale
from caebench.store.state import Statuses, attempts
from caebench.store.store import Store
from tests.conftest import TINY
from tests.helpers import OTHER, Bench, Command, enter, metrics

SUITE = """
source = { title = "A chain" }
pretrain = { recipe = "cae", epochs = 1600 }
columns.knn = { header = "k-NN", eval = "knn" }
columns.linear = { header = "LIN", eval = "linear_probe" }
rows = [{ label = "CAE, pixels", target = "pixels" }]
"""
SUITE_FILE = "chain.toml"


class Forks:
    """In place of `multiprocessing`: a run's only worker is forked from it, so that it has torch, and the same user."""

    parent_process = staticmethod(multiprocessing.parent_process)

    def get_context(self, _: str) -> "Forks":
        return self

    def Pipe(self) -> tuple[Any, Any]:
        self.ours, theirs = multiprocessing.Pipe()
        return self.ours, theirs

    def Process(self, target: Callable[..., None], args: tuple[Any, ...]) -> Any:
        return multiprocessing.get_context("fork").Process(target=_with_one_end, args=(self.ours, target, *args))


def _with_one_end(theirs: Any, target: Callable[..., None], *arguments: Any) -> None:
    """A forked worker; it closes the other end of its pipe, or it would never see that its parent has."""
    theirs.close()
    target(*arguments)


def enter_tiny(user: int | None, *arguments: Any) -> None:
    """The forked process: perhaps of another user; at the tests' own scale; its worker has one thread."""
    if user is not None:
        _import_all()
        os.umask(0o002)
        os.setgroups([])
        os.setgid(OTHER)
        os.setuid(user)
    scale.SCALES["nano"] = TINY  # pyright: ignore[reportIndexIssue] a dict
    os.cpu_count = lambda: 1
    pool.multiprocessing = Forks()  # pyright: ignore[reportAttributeAccessIssue]
    local.LOOK_EVERY = 0.2
    enter(*arguments)


def enter_unchecked(*arguments: Any) -> None:
    """The same without the check for room, as if others fill the disk after it."""
    preflight.preflight_jobs = lambda *_: None
    enter_tiny(None, *arguments)


def _import_all() -> None:
    """Import what a run imports: Python itself may be closed to another user."""
    for module in pkgutil.walk_packages(caebench.__path__, "caebench."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in ("multiprocessing.popen_fork", "sklearn.datasets", "rich._emoji_codes"):
        importlib.import_module(name)


def new_bench(store: Path, home: Path, user: int | None = None) -> Bench:
    """A store, and a user's home folder with the suite and with the site `eager`, which saves after every ten steps."""
    bench = Bench(store, home, partial(enter_tiny, user))
    bench.write_site("eager", 'device = "cpu"\ncheckpoint_minutes = 1e-9\n')
    (home / SUITE_FILE).write_text(SUITE, encoding="utf8")
    return bench


def run_suite(bench: Bench, *options: str, **settings: Any) -> Command:
    """Run the suite to its end, on the site `eager`."""
    return bench.run("run", "suite", str(bench.home / SUITE_FILE), "--site", "eager", *options, **settings)


def start_suite(bench: Bench, *options: str, **settings: Any) -> Command:
    """Start the suite."""
    return bench.start("run", "suite", str(bench.home / SUITE_FILE), "--site", "eager", *options, **settings)


@dataclass(frozen=True)
class Found:
    """What a finished job gives: its numbers, its lines, and its encoder's bytes if it has one."""

    numbers: Any
    lines: list[dict[str, Any]]
    encoder: bytes | None


def found(folder: Path) -> Found:
    """What a finished job gives."""
    path = folder / ENCODER
    return Found(read_result(folder)["metrics"], metrics(folder), path.read_bytes() if path.exists() else None)


def found_in(store: Path) -> dict[str, Found]:
    """What every finished job of a store gives, by its folder's name."""
    folders = sorted(Store(store).folders())
    return {f"{one.parent.name}/{id_in(one.name)}": found(one) for one in folders if (one / RESULT).exists()}


def states(store: Path) -> dict[str, tuple[str, str]]:
    """State and reason of every job of a store, by its kind."""
    statuses = Statuses(Store(store))
    return {folder.parent.name: statuses.of(folder) for folder in Store(store).folders()}


def of_kind(store: Path, kind: str) -> Path:
    """The folder of the only job of a kind."""
    (folder,) = [folder for folder in Store(store).folders() if folder.parent.name == kind]
    return folder


def begins(store: Path) -> dict[str, int]:
    """How often each job of a store has begun, by its kind."""
    return {folder.parent.name: len(attempts(folder)) for folder in Store(store).folders()}


def left_over(store: Path) -> list[str]:
    """What a writer would leave that did not finish: partial files, leases, claims, heartbeats."""
    names = [path.name for path in store.rglob("*")]
    return [name for name in names if ".partial" in name or name.startswith("submission.json") or name == "heartbeat"]


def link_to(source: Path, store: Path, *kinds: str) -> None:
    """Link finished jobs of some kinds into a new store."""
    for kind in kinds:
        folder = of_kind(source, kind)
        (store / kind).mkdir(parents=True, exist_ok=True)
        (store / kind / folder.name).symlink_to(folder)
