"""Which small jobs go to SLURM together, to run side by side on one device (ADR 23): a way to execute, in no id.

A pack is made of chains: a pretraining, say, with all that rests on it. Nothing outside rests on a pack, and all of its
chains wait for the same jobs: so one that fails holds up no more than it would alone.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence

from caebench.plan.graph import COMMON, Job
from caebench.plan.passes import Units

Alike = Callable[[Job], Hashable | None]  # equal for jobs of one place; None for a job that fits none


def packs_of(jobs: Sequence[Job], alike: Alike, at_once: int, units: Units) -> Units:
    """The packs among some jobs, of `at_once` chains at most; in the order of the jobs, which lists inputs first.

    Jobs of a pass (`units`) stay together.
    """
    places = _packable(jobs, alike)
    waiting: dict[Hashable, list[list[Job]]] = {}
    for chain in _chains([job for job in jobs if job.id in places], units):
        waiting.setdefault((places[chain[0].id], _outside(chain)), []).append(chain)
    packs: dict[str, Sequence[Job]] = {}
    for chains in waiting.values():
        for first in range(0, len(chains), at_once):
            pack = [job for chain in chains[first : first + at_once] for job in chain]
            if len(pack) > 1:
                packs |= dict.fromkeys((job.id for job in pack), pack)
    return packs


def _packable(jobs: Sequence[Job], alike: Alike) -> dict[str, Hashable]:
    """The place of each job that may be packed: few rest on it, and all that do may be packed beside it."""
    children: dict[str, list[Job]] = {}
    for job in jobs:
        for parent in job.parents:
            children.setdefault(parent.id, []).append(job)
    places: dict[str, Hashable] = {}
    for job in reversed(jobs):
        place = None if job.kind in COMMON else alike(job)
        if place is not None and all(places.get(child.id) == place for child in children.get(job.id, ())):
            places[job.id] = place
    return places


def _chains(jobs: Sequence[Job], units: Units) -> Iterator[list[Job]]:
    """Jobs that rest on one another or share a pass, each with the others."""
    chain_of: dict[str, list[Job]] = {}
    for job in jobs:
        tied = [*job.parents, *units.get(job.id, ())]
        chain = [job]
        for other in {id(found): found for one in tied if (found := chain_of.get(one.id)) is not None}.values():
            chain = [*other, *chain]
        chain_of |= dict.fromkeys((one.id for one in chain), chain)
    yield from {id(chain): chain for chain in chain_of.values()}.values()


def _outside(chain: Sequence[Job]) -> frozenset[str]:
    """What a chain waits for."""
    own = {job.id for job in chain}
    return frozenset(parent.id for job in chain for parent in job.parents if parent.id not in own)
