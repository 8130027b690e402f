"""Shared-encoder passes: which probes of a plan run behind one pass of their frozen encoder (ADR 20). No id changes.

Only jobs without dependents share a pass, so a failed one blocks no other job.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence

from caebench.specs.evaluations.frozen import FrozenProbe
from caebench.specs.job import Job

JobGroups = Mapping[str, Sequence[Job]]  # a job's id -> the jobs that run with it and itself; only groups of several


def find_passes(jobs: Sequence[Job], alike: Callable[[Job], Hashable] = lambda _: None) -> JobGroups:
    """The passes among some jobs, each of jobs with equal `alike`, in the order of the jobs."""
    needed = {parent.id for job in jobs for parent in job.parents}
    sharing: dict[Hashable, list[Job]] = {}
    for job in jobs:
        if job.id not in needed and (key := pass_of(job)) is not None:
            sharing.setdefault((key, alike(job)), []).append(job)
    fitting = (_fitting(group) for group in sharing.values())
    return {job.id: group for group in fitting if len(group) > 1 for job in group}


def pass_of(job: Job) -> Hashable | None:
    """Equal for probes that see the same images through the same encoder; None for other kinds of job."""
    if not isinstance(job.config, FrozenProbe):
        return None
    return job.inputs["encoder"].id, job.config.pass_key()


def _fitting(group: Sequence[Job]) -> list[Job]:
    """Those whose batch is a multiple of the smallest, because a pass reads pieces of that size."""
    batches = {job.id: config.optimization.global_batch for job, config in with_configs(group)}
    return [job for job in group if batches[job.id] % min(batches.values()) == 0]


def with_configs(jobs: Iterable[Job]) -> Iterator[tuple[Job, FrozenProbe]]:
    """The probes among some jobs, each with its config."""
    for job in jobs:
        if isinstance(job.config, FrozenProbe):
            yield job, job.config


def passes(groups: JobGroups) -> list[Sequence[Job]]:
    """Every pass once."""
    return [group for key, group in groups.items() if group[0].id == key]


def first_of_each(jobs: Iterable[Job], groups: JobGroups) -> list[Job]:
    """The first job of each group, and the jobs without a group."""
    return [job for job in jobs if groups.get(job.id, (job,))[0].id == job.id]
