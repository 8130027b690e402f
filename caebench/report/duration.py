"""How long a run takes on this machine: from jobs that it has finished, its calibration, or what a CPU core computes.

A number never comes without its basis: what none of these can say, as on a GPU without a calibration, is unknown.
"""

import heapq
import math
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self

from caebench.files.layout import JOB, PROVENANCE, RESULT
from caebench.files.result import intact
from caebench.planning.duration import seconds_here, show_time
from caebench.planning.passes import JobGroups, first_of_each
from caebench.report.forecast import hours_used
from caebench.specs.calibration import Calibration
from caebench.specs.cost import gpu_hours
from caebench.specs.job import Job
from caebench.store.state import attempts
from caebench.store.store import Store

ALIKE = 4.0  # jobs of a kind whose planned hours differ by less are better examples than the others


LEAST = 0.5  # seconds of a job: records have whole seconds
LONG = 600.0  # seconds from which a run first shows its plan


class Example(NamedTuple):
    """A job that this machine has finished."""

    hours: float  # planned, of an A100: how much there is to compute
    seconds: float
    device: str  # "CPU", or a GPU's name


class Forecast(NamedTuple):
    """How long some jobs take together, and how that is known."""

    seconds: float | None  # of those that can be told; None: of none
    num_unknown: int
    basis: str

    @property
    def is_long(self) -> bool:
        """Whether it is more than minutes, as far as is known."""
        return self.seconds is not None and self.seconds > LONG

    def __str__(self) -> str:
        if self.seconds is None:
            return "not known yet: this machine has finished no such job in this store"
        rest = f", and {self.num_unknown} jobs of which nothing is known" if self.num_unknown else ""
        return f"about {show_time(self.seconds)} on this machine{rest} ({self.basis})"


@dataclass
class Durations:
    """Seconds of jobs: of those that this machine has finished, by kind."""

    calibration: Calibration | None = None
    on_gpu: bool = False
    known: dict[str, list[Example]] = field(default_factory=dict[str, list[Example]])

    @classmethod
    def of(cls, store: Store, calibration: Calibration | None, on_gpu: bool = False) -> Self:
        """From what a store holds of this machine and the device that jobs take here."""
        found = cls(calibration, on_gpu)
        for folder in store.folders():
            if (example := _example(folder)) and (example.device != "CPU") == on_gpu:
                found.known.setdefault(str(intact(folder, JOB).get("kind")), []).append(example)
        return found

    def learn(self, job: Job, seconds: float) -> None:
        """A job has ended here."""
        self.known.setdefault(job.kind, []).append(Example(gpu_hours(job), seconds, ""))

    def seconds(self, job: Job) -> float | None:
        """How long a job takes alone, or as one of a pass; None: nobody knows."""
        examples, hours = self.known.get(job.kind, []), gpu_hours(job)
        examples = [one for one in examples if _alike(one.hours, hours)] or examples
        planned = math.fsum(one.hours for one in examples)
        if examples and planned and hours:
            return math.fsum(one.seconds for one in examples) / planned * hours
        if examples:
            return math.fsum(one.seconds for one in examples) / len(examples)
        if self.calibration is not None and hours:
            return gpu_hours(job, self.calibration) * 3600
        return None if self.on_gpu else seconds_here(job)

    def forecast(self, jobs: Sequence[Job], passes: JobGroups, num_parallel: int) -> Forecast:
        """How long a run of some jobs takes, inputs first; `passes`: which of them run as one."""
        each = {job.id: self.seconds(job) for job in jobs}
        unknown = sum(seconds is None for seconds in each.values())
        if jobs and unknown == len(jobs):
            return Forecast(None, unknown, "")
        lengths = {key: seconds or 0.0 for key, seconds in each.items()}
        return Forecast(makespan(jobs, passes, lengths, num_parallel), unknown, self._basis(jobs))

    def _basis(self, jobs: Sequence[Job]) -> str:
        kinds = {job.kind for job in jobs}
        num = sum(len(self.known.get(kind, [])) for kind in kinds)
        rough = "; roughly, as they are of other sizes" if any(map(self._is_rough, jobs)) else ""
        words = [f"from {num} jobs that it has finished{rough}"] if num else []
        if self.calibration is not None and not kinds <= self.known.keys():
            words.append(f"from its calibration of {self.calibration.measured}")
        elif self.calibration is None and not self.on_gpu and not kinds <= self.known.keys():
            words.append("counted with another machine's CPU cores, to a factor of two or so")
        return " and ".join(words)

    def _is_rough(self, job: Job) -> bool:
        """Whether all examples of its kind are much smaller or larger, of which the fixed part of the time is not."""
        examples = self.known.get(job.kind, [])
        return bool(examples) and not any(_alike(one.hours, gpu_hours(job)) for one in examples)


def _alike(one: float, other: float) -> bool:
    return one == other or (one > 0 < other and 1 / ALIKE < one / other < ALIKE)


def _example(folder: Path) -> Example | None:
    """What a finished job's folder says of its speed; None: it is not done, or ran on another machine."""
    if not (folder / RESULT).exists():
        return None
    made, job = intact(folder, PROVENANCE), intact(folder, JOB)
    tries: list[dict[str, Any]] = [{**one, "shared_by": 1, "processes": 1} for one in attempts(folder)]
    seconds = 3600 * hours_used(tries, None, None)
    if made.get("host") != socket.gethostname() or not tries:
        return None
    return Example(float(job.get("gpu_hours", 0.0)), max(seconds, LEAST), str(made.get("device")).partition(",")[0])


def makespan(jobs: Sequence[Job], passes: JobGroups, lengths: Mapping[str, float], num_parallel: int) -> float:
    """When the last of some jobs ends, if a worker takes the first that is ready; a pass is as long as its longest."""
    waiting = {job.id: passes.get(job.id, (job,)) for job in first_of_each(jobs, passes)}
    workers, ends = [0.0] * num_parallel, dict[str, float]()
    to_come = {job.id for group in waiting.values() for job in group}
    while waiting:
        now = heapq.heappop(workers)
        ready = dict(_ready(waiting, ends, to_come))
        first = next((key for key, at in ready.items() if at <= now), min(ready, key=lambda key: ready[key]))
        group = waiting.pop(first)
        end = max(now, ready[first]) + max(lengths[job.id] for job in group)
        ends.update(dict.fromkeys((job.id for job in group), end))
        heapq.heappush(workers, end)
    return max(ends.values(), default=0.0)


def _ready(
    waiting: Mapping[str, Sequence[Job]], ends: Mapping[str, float], to_come: set[str]
) -> Iterator[tuple[str, float]]:
    """The groups all of whose inputs have an end, with the latest of these."""
    for key, group in waiting.items():
        inputs = [parent.id for parent in group[0].parents if parent.id in to_come]
        if all(one in ends for one in inputs):
            yield key, max((ends[one] for one in inputs), default=0.0)
