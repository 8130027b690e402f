"""Packs: small jobs that run concurrently on one device as one job of a scheduler (ADR 23). They change no id.

A pack consists of chains: for example a pretraining with all its dependents. No job outside depends on a pack, and all
of its chains wait for the same jobs, so a failed job blocks only its own dependents.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence

from caebench.planning.passes import JobGroups
from caebench.specs.job import Job

Alike = Callable[[Job], Hashable | None]  # equal for jobs with the same resources; None for a job that fits no pack


def find_packs(jobs: Sequence[Job], alike: Alike, at_once: int, pass_groups: JobGroups) -> JobGroups:
    """The packs among some jobs, with at most `at_once` chains each, in the order of the jobs (inputs first).

    Jobs of one shared-encoder pass (`pass_groups`) stay in one pack.
    """
    places = _packable(jobs, alike)
    waiting: dict[Hashable, list[list[Job]]] = {}
    for chain in _chains([job for job in jobs if job.id in places], pass_groups):
        waiting.setdefault((places[chain[0].id], _outside(chain)), []).append(chain)
    packs: dict[str, Sequence[Job]] = {}
    for chains in waiting.values():
        for first in range(0, len(chains), at_once):
            pack = [job for chain in chains[first : first + at_once] for job in chain]
            if len(pack) > 1:
                packs |= dict.fromkeys((job.id for job in pack), pack)
    return packs


def _packable(jobs: Sequence[Job], alike: Alike) -> dict[str, Hashable]:
    """The resources of each job that can be packed: it has few dependents, and all of them can be packed with it."""
    children: dict[str, list[Job]] = {}
    for job in jobs:
        for parent in job.parents:
            children.setdefault(parent.id, []).append(job)
    places: dict[str, Hashable] = {}
    for job in reversed(jobs):
        place = None if job.config.IS_COMMON else alike(job)
        if place is not None and all(places.get(child.id) == place for child in children.get(job.id, ())):
            places[job.id] = place
    return places


def _chains(jobs: Sequence[Job], pass_groups: JobGroups) -> Iterator[list[Job]]:
    """Connected jobs: those that depend on one another or share a pass."""
    chain_of: dict[str, list[Job]] = {}
    for job in jobs:
        tied = [*job.parents, *pass_groups.get(job.id, ())]
        chain = [job]
        for other in {id(found): found for one in tied if (found := chain_of.get(one.id)) is not None}.values():
            chain = [*other, *chain]
        chain_of |= dict.fromkeys((one.id for one in chain), chain)
    yield from {id(chain): chain for chain in chain_of.values()}.values()


def _outside(chain: Sequence[Job]) -> frozenset[str]:
    """The ids of the jobs outside of a chain that it waits for."""
    own = {job.id for job in chain}
    return frozenset(parent.id for job in chain for parent in job.parents if parent.id not in own)
