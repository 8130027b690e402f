"""Which small jobs share a SLURM job, and what that one waits for."""

import pytest

from caebench.execution.schedulers.slurm.sbatch import dependency
from caebench.execution.schedulers.slurm.submissions import bundle
from caebench.planning.graph import Plans, make_plan
from caebench.planning.packs import find_packs
from caebench.planning.passes import find_passes, passes
from caebench.planning.scale import SCALES
from caebench.specs.slurm import Slurm
from caebench.suites import loading as suites


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
    return find_packs(jobs, alike, at_once, find_passes(jobs))


LARGE = {"pretrain": {"gpus_per_node": 8}}
ALIKE = {"all on one": places(), "large pretrainings": places(**LARGE), "long knn": places(knn={"minutes": 5})}


@pytest.mark.parametrize("alike", ALIKE.values(), ids=ALIKE.keys())
def test_no_job_outside_depends_on_a_pack_and_a_failure_blocks_no_more(everything, alike):
    packs = pack(everything, alike)
    assert packs
    for group in passes(packs):
        own = {job.id for job in group}
        assert not [job for job in everything if job.id not in own and own & {one.id for one in job.parents}]
    for submission in bundle(everything, lambda job: job.kind, 1000, groups=packs):
        for place, head in enumerate(submission.jobs):
            waits = {one.id for one in (*submission.after, *(tied.jobs[place] for tied in submission.after_each))}
            for job in packs.get(head.id, (head,)):
                assert waits <= {one.id for one in job.ancestors()}


@pytest.mark.parametrize("alike", ALIKE.values(), ids=ALIKE.keys())
def test_every_job_runs_once_after_all_its_dependencies(everything, alike):
    packs = pack(everything, alike)
    before: set[str] = set()
    for submission in bundle(everything, lambda job: job.kind, 1000, groups=packs):
        groups = [packs.get(head.id, (head,)) for head in submission.jobs]
        for place, group in enumerate(groups):
            tied = [other.jobs[place] for other in submission.after_each]
            waits = [*submission.waits, *tied]
            covered = {known.id for one in waits for known in (one, *one.ancestors())} | {job.id for job in group}
            assert {parent.id for job in group for parent in job.parents} <= covered
            assert {one.id for one in waits} <= before
        ids = [job.id for group in groups for job in group]
        assert not before & set(ids)
        before |= set(ids)
    assert before == {job.id for job in everything}


def test_a_suite_on_single_gpus_is_as_many_packs_as_chains_over_jobs_at_once():
    jobs = make_plan(suites.load("ablation-mask-ratio"), SCALES["paper"], [0, 1, 2]).jobs
    packs = passes(pack(jobs, places(), at_once=4))
    assert [sum(job.kind == "pretrain" for job in group) for group in packs] == [4, 4, 1]
    assert {job.id for group in packs for job in group} == {job.id for job in jobs if not job.config.IS_COMMON}
    (array,) = [one for one in bundle(jobs, lambda job: job.kind, 1000, groups=pack(jobs, places())) if one.after]
    assert len(array.jobs) == 3
    assert sorted(job.kind for job in array.after) == ["real", "released"]
    assert [job.slug for job in array.after_any] == ["ade20k"], "UperNet's alone"
    ids = {job.id: str(number) for number, job in enumerate(array.waits, start=3)}
    assert dependency(array, ids) == "afterok:3:4,afterany:5"


def test_dependents_of_one_large_pretraining_are_a_pack_of_their_own():
    jobs = make_plan(suites.load("pretraining-evaluation"), SCALES["paper"], [0]).jobs
    for group in passes(pack(jobs, places(**LARGE))):
        assert "pretrain" not in {job.kind for job in group}
        assert len({job.inputs["encoder"].id for job in group}) == 1


def test_probes_that_share_a_pass_stay_in_one_pack(everything):
    groups, packs = find_passes(everything), pack(everything, places(**LARGE), at_once=2)
    packed = [group for group in passes(groups) if group[0].id in packs]
    assert packed
    assert all({job.id for job in group} <= {job.id for job in packs[group[0].id]} for group in packed)


def test_a_job_with_other_resources_is_not_packed_nor_are_its_dependencies(everything):
    packs = pack(everything, places(knn={"minutes": 5}))
    below_knn = {parent.id for job in everything if job.kind == "knn" for parent in job.parents}
    assert below_knn and not below_knn & set(packs)
    assert {frozenset(job.kind == "knn" for job in group) for group in packs.values()} == {
        frozenset([True]),
        frozenset([False]),
    }
