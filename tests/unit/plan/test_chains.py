"""Which small jobs share a SLURM job, and what that one waits for."""

import pytest

from caebench import suites
from caebench.config.site import Slurm
from caebench.execution.slurm import dependency
from caebench.execution.submissions import bundle
from caebench.plan.graph import COMMON, Plans, make_plan
from caebench.plan.packs import packs_of
from caebench.plan.passes import passes, units_of
from caebench.plan.scale import SCALES


@pytest.fixture(scope="module")
def everything():
    return Plans("all", tuple(make_plan(table, SCALES["paper"], [0, 1]) for table in suites.load_all("all"))).jobs


def places(**stages):
    """What the jobs of a kind ask for; None where that is more than one process."""
    slurm = Slurm(gpus_per_node=1, stages=stages)

    def place(job):
        asked = slurm.of(job.kind)
        return asked.model_dump_json() if asked.num_processes == 1 else None

    return place


def pack(jobs, alike, at_once=4):
    return packs_of(jobs, alike, at_once, units_of(jobs))


LARGE = {"pretrain": {"gpus_per_node": 8}}
ALIKE = {"all on one": places(), "large pretrainings": places(**LARGE), "long knn": places(knn={"minutes": 5})}


@pytest.mark.parametrize("alike", ALIKE.values(), ids=ALIKE.keys())
def test_nothing_outside_rests_on_a_pack_and_one_failure_holds_up_no_more(everything, alike):
    packs = pack(everything, alike)
    assert packs
    for unit in passes(packs):
        own = {job.id for job in unit}
        assert not [job for job in everything if job.id not in own and own & {one.id for one in job.parents}]
    for submission in bundle(everything, lambda job: job.kind, 1000, units=packs):
        for place, head in enumerate(submission.jobs):
            waits = {one.id for one in (*submission.after, *(tied.jobs[place] for tied in submission.after_each))}
            for job in packs.get(head.id, (head,)):
                assert waits <= {one.id for one in job.ancestors()}


@pytest.mark.parametrize("alike", ALIKE.values(), ids=ALIKE.keys())
def test_every_job_goes_once_after_all_that_it_rests_on(everything, alike):
    packs = pack(everything, alike)
    before: set[str] = set()
    for submission in bundle(everything, lambda job: job.kind, 1000, units=packs):
        units = [packs.get(head.id, (head,)) for head in submission.jobs]
        for place, unit in enumerate(units):
            tied = [other.jobs[place] for other in submission.after_each]
            waits = [*submission.waits, *tied]
            covered = {known.id for one in waits for known in (one, *one.ancestors())} | {job.id for job in unit}
            assert {parent.id for job in unit for parent in job.parents} <= covered
            assert {one.id for one in waits} <= before
        ids = [job.id for unit in units for job in unit]
        assert not before & set(ids)
        before |= set(ids)
    assert before == {job.id for job in everything}


def test_a_suite_on_single_gpus_is_as_many_packs_as_chains_over_jobs_at_once():
    jobs = make_plan(suites.load("ablation-mask-ratio"), SCALES["paper"], [0, 1, 2]).jobs
    packs = passes(pack(jobs, places(), at_once=4))
    assert [sum(job.kind == "pretrain" for job in unit) for unit in packs] == [4, 4, 1]
    assert {job.id for unit in packs for job in unit} == {job.id for job in jobs if job.kind not in COMMON}
    (array,) = [one for one in bundle(jobs, lambda job: job.kind, 1000, units=pack(jobs, places())) if one.after]
    assert len(array.jobs) == 3
    assert sorted(job.kind for job in array.after) == ["real", "released"]
    assert [job.slug for job in array.after_any] == ["ade20k"], "UperNet's alone"
    ids = {job.id: str(number) for number, job in enumerate(array.waits, start=3)}
    assert dependency(array, ids) == "afterok:3:4,afterany:5"


def test_what_rests_on_one_large_pretraining_goes_together_and_with_nothing_else():
    jobs = make_plan(suites.load("pretraining-evaluation"), SCALES["paper"], [0]).jobs
    for unit in passes(pack(jobs, places(**LARGE))):
        assert "pretrain" not in {job.kind for job in unit}
        assert len({job.inputs["encoder"].id for job in unit}) == 1


def test_probes_that_share_a_pass_stay_together(everything):
    units, packs = units_of(everything), pack(everything, places(**LARGE), at_once=2)
    packed = [unit for unit in passes(units) if unit[0].id in packs]
    assert packed
    assert all({job.id for job in unit} <= {job.id for job in packs[unit[0].id]} for unit in packed)


def test_a_job_that_asks_for_something_else_goes_alone_and_so_does_what_it_rests_on(everything):
    packs = pack(everything, places(knn={"minutes": 5}))
    below_knn = {parent.id for job in everything if job.kind == "knn" for parent in job.parents}
    assert below_knn and not below_knn & set(packs)
    assert {frozenset(job.kind == "knn" for job in unit) for unit in packs.values()} == {
        frozenset([True]),
        frozenset([False]),
    }
