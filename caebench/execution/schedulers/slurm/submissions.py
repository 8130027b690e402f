"""From missing jobs to submissions: which jobs form an array, and what each waits for. Pure functions.

Jobs are bundled only if one failure still blocks only its own dependents (ADR 14).
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from caebench.planning.passes import JobGroups, first_of_each
from caebench.specs.job import Job

Shape = Callable[[Job], Hashable]  # equal for jobs with the same sbatch options


@dataclass(frozen=True)
class Submission:
    """Jobs that one sbatch submits: an array if there are several."""

    jobs: tuple[Job, ...]
    after: tuple[Job, ...] = ()  # must have succeeded before any of them starts
    after_each: tuple["Submission", ...] = ()  # whose n-th jobs must have succeeded before the n-th of these starts
    after_any: tuple[Job, ...] = ()  # must have ended, successfully or not: only some jobs of a pack depend on them

    @property
    def waits(self) -> tuple[Job, ...]:
        """The jobs that all of its jobs wait for."""
        return (*self.after, *self.after_any)


def bundle(
    missing: Sequence[Job],
    shape: Shape,
    max_array: int,
    queued: Mapping[str, Job] | None = None,
    groups: JobGroups | None = None,
) -> list[Submission]:
    """Every missing job in one submission, parents' submissions first; the first job of a group represents it.

    `missing` lists inputs first; `queued` are jobs that are already in the queue and can be waited for.
    """
    groups = groups or {}
    heads = first_of_each(missing, groups)
    graph = Graph({job.id: job for job in heads} | dict(queued or {}), shape, groups)
    found: list[Submission] = []
    for level in _levels(heads, graph):
        for submission in (*_alike(level, graph, max_array), *_after_arrays(level, graph)):
            found.append(submission)
            graph.homes.update({job.id: (submission, place) for place, job in enumerate(submission.jobs)})
    return found


@dataclass
class Graph:
    """The jobs that can be waited for, and the submission of each job that has been placed."""

    waited: Mapping[str, Job]
    shape: Shape
    groups: JobGroups
    homes: dict[str, tuple[Submission, int]] = field(default_factory=dict[str, tuple[Submission, int]])
    _children: dict[str, Counter[Hashable]] = field(default_factory=dict[str, Counter[Hashable]])

    def __post_init__(self) -> None:
        for job in self.waited.values():
            for parent in self.own(job):
                self._children.setdefault(parent.id, Counter())[self.shape(job)] += 1

    def direct(self, job: Job) -> list[Job]:
        """The parents that a job or its group waits for."""
        group = self.groups.get(job.id, (job,))
        own = {one.id for one in group}
        return [parent for one in group for parent in one.parents if parent.id in self.waited and parent.id not in own]

    def parents(self, job: Job) -> tuple[Job, ...]:
        """The inputs that a job or its whole group waits for, without those implied by another."""
        return tuple(parent for parent in self._uncovered(job) if self._serves_all(parent, job))

    def parents_of_some(self, job: Job) -> tuple[Job, ...]:
        """The inputs that only some jobs of its group wait for."""
        return tuple(parent for parent in self._uncovered(job) if not self._serves_all(parent, job))

    def _uncovered(self, job: Job) -> list[Job]:
        direct = self.direct(job)
        covered = {ancestor.id for parent in direct for ancestor in parent.ancestors()}
        return list({parent.id: parent for parent in direct if parent.id not in covered}.values())

    def _serves_all(self, parent: Job, job: Job) -> bool:
        group = self.groups.get(job.id, (job,))
        return all(parent.id in {ancestor.id for ancestor in one.ancestors()} for one in group)

    def own(self, job: Job) -> tuple[Job, ...]:
        """The parents that few jobs share: not data, and not tokenizers."""
        return tuple(parent for parent in self.parents(job) if not parent.config.IS_COMMON)

    def common(self, job: Job) -> tuple[Job, ...]:
        """The parents that many jobs share."""
        return tuple(parent for parent in self.parents(job) if parent.config.IS_COMMON)

    def place(self, job: Job) -> int | None:
        """The index of its own parents in their arrays, if it is the same in arrays of equal length; else None."""
        homes = [self.homes[parent.id] for parent in self.own(job) if parent.id in self.homes]
        places = {(len(submission.jobs), place) for submission, place in homes}
        if len(homes) < len(self.own(job)) or len(places) != 1:
            return None
        length, place = next(iter(places))
        return place if length > 1 else None

    def kind(self, job: Job, tied: bool = False) -> Hashable:
        """Equal for jobs of an array: shape, common parents, and kinds of dependents, so that arrays can be linked."""
        above = (*(self.common(job) if tied else self.parents(job)), *self.parents_of_some(job))
        children = frozenset(self._children.get(job.id, Counter[Hashable]()).items())
        return self.shape(job), job.id in self.groups, tuple(parent.id for parent in above), children


def _levels(missing: Sequence[Job], graph: Graph) -> list[list[Job]]:
    """Missing jobs by the length of the longest chain of jobs that they must wait for.

    Jobs of other submitters count as well, so two submitters use the same order and cannot wait for each other.
    """
    depth: dict[str, int] = {}

    def find(job: Job) -> int:
        if job.id not in depth:
            depth[job.id] = 1 + max((find(parent) for parent in graph.direct(job)), default=-1)
        return depth[job.id]

    levels: dict[int, list[Job]] = {}
    for job in missing:
        levels.setdefault(find(job), []).append(job)
    return [levels[number] for number in sorted(levels)]


def _alike(level: Sequence[Job], graph: Graph, max_array: int) -> Iterator[Submission]:
    """Arrays of jobs with the same parents."""
    same: dict[Hashable, list[Job]] = {}
    for job in level:
        if graph.place(job) is None:
            same.setdefault(graph.kind(job), []).append(job)
    for jobs in same.values():
        for first in range(0, len(jobs), max_array):
            some = tuple(jobs[first : first + max_array])
            yield Submission(some, graph.parents(jobs[0]), after_any=graph.parents_of_some(jobs[0]))


def _after_arrays(level: Sequence[Job], graph: Graph) -> Iterator[Submission]:
    """Arrays whose n-th job waits for the n-th job of an array of parents; jobs that would leave gaps go alone."""
    layers: dict[Hashable, dict[int, Job]] = {}
    for job in level:
        if (place := graph.place(job)) is not None:
            owners = tuple(graph.homes[parent.id][0] for parent in graph.own(job))
            kind, number = (graph.kind(job, tied=True), tuple(map(id, owners))), 0
            while place in layers.setdefault((kind, number), {}):
                number += 1
            layers[kind, number][place] = job
    for placed in layers.values():
        first = next(iter(placed.values()))
        owners = tuple(graph.homes[parent.id][0] for parent in graph.own(first))
        if len(placed) == len(owners[0].jobs):
            jobs = tuple(placed[place] for place in range(len(placed)))
            yield Submission(jobs, graph.common(first), owners, graph.parents_of_some(first))
        else:
            for job in placed.values():
                yield Submission((job,), graph.parents(job), after_any=graph.parents_of_some(job))
