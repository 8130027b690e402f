"""What a store holds: how many jobs of each suite are in which state, imported encoders, disk, the last activity."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from caebench.files.layout import JOB, id_in, name_of
from caebench.files.result import intact
from caebench.planning.graph import Plan, make_plan
from caebench.planning.scale import SCALES
from caebench.specs.inputs.random_encoder import RandomEncoder
from caebench.specs.pretrain import Pretrain
from caebench.store.state import BROKEN, IN_QUEUE, Status, Statuses
from caebench.store.usage import BY_HAND, others, size_of_folder
from caebench.suites.files import suites_here
from caebench.suites.loading import every, load
from caebench.suites.suite import Suite


class SuiteCount(NamedTuple):
    """How far a suite is at a scale, with the seeds that the store has of it."""

    suite: str
    scale: str
    seeds: Sequence[int]
    jobs: int
    done: int
    running: int  # or waiting in a queue
    failed: int  # or damaged, lost, blocked

    @property
    def to_do(self) -> int:
        """The jobs that neither are done nor run nor came to a bad end."""
        return self.jobs - self.done - self.running - self.failed


@dataclass(frozen=True)
class Overview:
    """What a store holds."""

    states: Mapping[Path, Status]
    suites: Sequence[SuiteCount]  # the most complete first
    sharing: Sequence[SuiteCount]  # those of which all that is there belongs to one of `suites`, too
    unplanned: int  # jobs that no suite plans, such as those of `eval`
    imported: Sequence[str]
    num_bytes: int
    last: tuple[str, float] | None  # the job that wrote last, and when, in seconds since the epoch

    @property
    def broken(self) -> list[tuple[Path, Status]]:
        """Jobs that need somebody."""
        return [(folder, status) for folder, status in self.states.items() if status[0] in BROKEN]


def overview(statuses: Statuses, folders: Sequence[Path]) -> Overview:
    """What a store holds."""
    states = {folder: statuses.of(folder) for folder in folders}
    by_id = {id_in(folder.name): state for folder, (state, _) in states.items()}
    there = set(by_id)
    jobs = [intact(folder, JOB) for folder in folders]
    seeds = {seed for job in jobs if isinstance(seed := job.get("config", {}).get("seed"), int)}
    variants = {job.get("config", {}).get("variant") for job in jobs}
    plans = sorted(_plans(there, variants, sorted({0, *seeds})), key=lambda one: -_share(one[0], there))
    own = list(_own(plans, there))
    counts = [_count(plan, found, by_id) for plan, found in plans]
    planned = {job.id for plan, _ in plans for job in plan.jobs}
    weighed = {folder: _weighed(folder) for folder in folders}
    last = max(folders, key=lambda folder: weighed[folder][1], default=None)
    return Overview(
        states,
        [count for count, is_own in zip(counts, own, strict=True) if is_own],
        [count for count, is_own in zip(counts, own, strict=True) if not is_own],
        len(there - planned),
        [name_of(folder) for folder, job in zip(folders, jobs, strict=True) if job.get("kind") == BY_HAND],
        sum(num_bytes for num_bytes, _ in weighed.values()) + sum(others(statuses.store).values()),
        (name_of(last), weighed[last][1]) if last else None,
    )


def _plans(there: set[str], variants: set[Any], seeds: Sequence[int]) -> Iterator[tuple[Plan, list[int]]]:
    """The plans of which the store has a cell, with the seeds of those cells; `variants` are those of its encoders."""
    for suite in _suites():
        for scale in SCALES.values():
            first = make_plan(suite, scale, seeds[:1])
            own = {job.config.variant for job in first.jobs if isinstance(job.config, Pretrain | RandomEncoder)}
            if (own and not own & variants) or not any(job.id in there for job in first.jobs):
                continue  # of another scale: neither its encoders nor its data are there
            plan = make_plan(suite, scale, seeds)
            if found := sorted({job.seed or 0 for cell in plan.cells for job in cell.jobs if job.id in there}):
                yield plan.of_seeds(found), found


def _own(plans: Sequence[tuple[Plan, list[int]]], there: set[str]) -> Iterator[bool]:
    """Whether each plan, the most complete first, has a cell in the store that none before it has."""
    seen: set[str] = set()
    for plan, _ in plans:
        new = {job.id for cell in plan.cells for job in cell.jobs if job.id in there} - seen
        seen |= new
        yield bool(new)


def _share(plan: Plan, there: set[str]) -> float:
    return sum(job.id in there for job in plan.jobs) / len(plan.jobs)


def _suites() -> Iterator[Suite]:
    """Those of the working folder and of caebench; a file that is wrong has no jobs."""
    yield from every()
    for path in suites_here():
        try:
            yield load(str(path))
        except ValueError:
            continue


def _count(plan: Plan, seeds: Sequence[int], states: Mapping[str, str]) -> SuiteCount:
    counts = Counter(states.get(job.id, "todo") for job in plan.jobs)
    sums = (sum(counts[state] for state in group) for group in (("done",), IN_QUEUE, BROKEN))
    return SuiteCount(plan.suite.name, plan.scale.name, seeds, len(plan.jobs), *sums)


def _weighed(folder: Path) -> tuple[int, float]:
    """The bytes of a job's files, and when it last wrote one of them."""
    num_bytes, moment = 0, 0.0
    with os.scandir(folder) as entries:
        for entry in entries:
            about = entry.stat(follow_symlinks=False)
            is_folder = entry.is_dir(follow_symlinks=False)
            num_bytes += size_of_folder(Path(entry.path)) if is_folder else about.st_size
            moment = max(moment, about.st_mtime)
    return num_bytes, moment
