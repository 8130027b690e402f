"""Which jobs of a plan share a pass of their frozen encoder (ADR 20): a way to execute, which changes no id.

Only jobs that nothing rests on: so one that fails holds up no more than it would alone.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence

from caebench.config.stage import AttentiveProbe, LinearProbe, LinearProbeGrid
from caebench.plan.graph import Job

Units = Mapping[str, Sequence[Job]]  # a job's id -> the jobs of its pass, it among them; only where there are several


def units_of(jobs: Sequence[Job], alike: Callable[[Job], Hashable] = lambda _: None) -> Units:
    """The passes among some jobs, each of jobs that `alike` does not tell apart; in the order of the jobs."""
    needed = {parent.id for job in jobs for parent in job.parents}
    sharing: dict[Hashable, list[Job]] = {}
    for job in jobs:
        if job.id not in needed and (key := pass_of(job)) is not None:
            sharing.setdefault((key, alike(job)), []).append(job)
    return {job.id: unit for group in sharing.values() if len(unit := _fitting(group)) > 1 for job in unit}


def pass_of(job: Job) -> Hashable | None:
    """Equal for probes that see the same images through the same encoder; None for a job of another kind."""
    match job.config:
        case LinearProbe(norm=norm) | LinearProbeGrid(norm=norm) as config:
            seen = norm
        case AttentiveProbe() as config:
            seen = True
        case _:
            return None
    encoder = job.inputs["encoder"].id
    return (
        encoder,
        config.data,
        config.image_size,
        config.crop_scale_min,
        config.optimization.precision,
        config.seed,
        seen,
    )


def _fitting(group: Sequence[Job]) -> list[Job]:
    """Those whose batch is a multiple of the smallest: a pass goes in pieces of that."""
    batches = {job.id: config.optimization.global_batch for job, config in with_configs(group)}
    return [job for job in group if batches[job.id] % min(batches.values()) == 0]


def with_configs(unit: Iterable[Job]) -> Iterator[tuple[Job, LinearProbe | LinearProbeGrid | AttentiveProbe]]:
    """The probes among some jobs, each with its config."""
    for job in unit:
        if isinstance(job.config, LinearProbe | LinearProbeGrid | AttentiveProbe):
            yield job, job.config


def passes(units: Units) -> list[Sequence[Job]]:
    """Every pass once."""
    return [unit for key, unit in units.items() if unit[0].id == key]


def first_of_each(jobs: Iterable[Job], units: Units) -> list[Job]:
    """The jobs without those that run beside one before them."""
    return [job for job in jobs if units.get(job.id, (job,))[0].id == job.id]
