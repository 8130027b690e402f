"""What goes as one array, and what waits for what."""

import random
from pathlib import Path

import pytest

from caebench.execution.schedulers.slurm.sbatch import dependency, parameters
from caebench.execution.schedulers.slurm.submissions import Submission, bundle
from caebench.execution.schedulers.slurm.submit import check_batches
from caebench.planning.graph import Plans, make_plan
from caebench.planning.scale import SCALES
from caebench.specs.job import Job
from caebench.specs.slurm import Slurm
from caebench.suites import loading as suites


def plan(*names, seeds=(0,)):
    return Plans("some", tuple(make_plan(suites.load(name), SCALES["paper"], seeds) for name in names)).jobs


def by_kind(job):
    return job.kind


@pytest.fixture(scope="module")
def everything():
    return Plans("all", tuple(make_plan(table, SCALES["paper"], [0, 1, 2]) for table in suites.load_all("all"))).jobs


def test_every_job_is_submitted_once_after_its_dependencies(everything):
    found = bundle(everything, by_kind, 1000)
    placed = [job.id for submission in found for job in submission.jobs]
    assert sorted(placed) == sorted(job.id for job in everything)
    seen: set[str] = set()
    for submission in found:
        waits = [*submission.after, *(job for tied in submission.after_each for job in tied.jobs)]
        assert {job.id for job in waits} <= seen
        seen |= {job.id for job in submission.jobs}


def test_one_failure_blocks_only_its_dependents(everything):
    """Every parent that a submission waits for is an ancestor of each job that waits for it."""
    for submission in bundle(everything, by_kind, 1000):
        for place, job in enumerate(submission.jobs):
            waits = [*submission.after, *(tied.jobs[place] for tied in submission.after_each)]
            assert {parent.id for parent in waits} <= {ancestor.id for ancestor in job.ancestors()}


def test_all_dependencies_of_a_job_are_waited_for(everything):
    """Directly, or through a parent that waits for it."""
    for submission in bundle(everything, by_kind, 1000):
        for place, job in enumerate(submission.jobs):
            waits = [*submission.after, *(tied.jobs[place] for tied in submission.after_each)]
            covered = {known.id for parent in waits for known in (parent, *parent.ancestors())}
            assert {parent.id for parent in job.inputs.values()} <= covered


def test_seeds_of_a_pretraining_are_an_array_and_their_probes_are_tied_to_it_in_pairs():
    jobs = plan("ablation-mask-ratio", seeds=(0, 1, 2))
    found = {submission.jobs[0].kind: submission for submission in bundle(jobs, by_kind, 1000)}
    assert len(found["pretrain"].jobs) == 9 and {job.kind for job in found["pretrain"].after} == {"real", "released"}
    probes = found["linear_probe"]
    assert probes.after_each == (found["pretrain"],) and probes.after == ()
    assert [job.inputs["encoder"].id for job in probes.jobs] == [job.id for job in found["pretrain"].jobs]


def test_a_few_arrays_carry_hundreds_of_jobs(everything):
    found = bundle(everything, by_kind, 1000)
    assert len(everything) > 500 and len(found) < 0.3 * len(everything)


def test_an_array_is_split_at_the_clusters_limit():
    jobs = plan("ablation-mask-ratio", seeds=(0, 1, 2))
    found = bundle(jobs, by_kind, 4)
    assert max(len(submission.jobs) for submission in found) == 4
    assert [len(s.jobs) for s in found if s.jobs[0].kind == "pretrain"] == [4, 4, 1]


def test_what_is_done_is_not_waited_for():
    jobs = plan("ablation-mask-ratio")
    missing = [job for job in jobs if job.kind == "linear_probe"]
    assert bundle(missing, by_kind, 1000) == [Submission(tuple(missing))]


def test_what_is_in_the_queue_already_is_waited_for_and_not_submitted():
    jobs = plan("ablation-mask-ratio")
    encoders = {job.id: job for job in jobs if job.kind == "pretrain"}
    missing = [job for job in jobs if job.kind == "linear_probe"]
    found = bundle(missing, by_kind, 1000, encoders)
    assert [submission.jobs for submission in found] == [(job,) for job in missing]
    assert all(submission.after[0].id == submission.jobs[0].inputs["encoder"].id for submission in found)


def test_what_a_submission_waits_for_in_slurms_words():
    jobs = plan("ablation-mask-ratio", seeds=(0, 1, 2))
    found = {submission.jobs[0].kind: submission for submission in bundle(jobs, by_kind, 1000)}
    ids = {job.id: f"7_{place}" for place, job in enumerate(found["pretrain"].jobs)}
    assert dependency(found["linear_probe"], ids) == "aftercorr:7"
    shared = {job.id: str(number) for number, job in enumerate(found["pretrain"].after, start=3)}
    assert dependency(found["pretrain"], shared) == "afterok:3:4"
    assert dependency(found["segmentation"], ids | {job.id: "5" for job in found["segmentation"].after}) == (
        "afterok:5,aftercorr:7"
    )
    assert dependency(found["pretrain"], {}) is None, "parents that are done have no id"


def test_what_a_site_says_reaches_sbatch():
    (submission, *_) = bundle(plan("ablation-mask-ratio"), by_kind, 1000)
    settings = Slurm(partition="gpu", account="vision", nodes=2, gpus_per_node=8, setup=("module load cuda",))
    asked = parameters(settings, submission, {}, Path("/store/snapshots/abc"))
    assert (asked["slurm_partition"], asked["slurm_account"], asked["nodes"], asked["tasks_per_node"]) == (
        *("gpu", "vision"),
        *(2, 8),
    )
    assert asked["slurm_setup"][2] == "module load cuda" and "/store/snapshots/abc" in asked["slurm_setup"][4]
    assert asked["slurm_additional_parameters"]["kill-on-invalid-dep"] == "yes" and "slurm_qos" not in asked


def test_a_batch_that_cannot_be_divided_over_processes_is_rejected_before_submission():
    jobs = plan("ablation-mask-ratio")
    check_batches(jobs, Slurm(nodes=2, gpus_per_node=8))
    with pytest.raises(ValueError, match=r"2048 cannot be divided over 6 processes.*slurm.stages.pretrain"):
        check_batches(jobs, Slurm(gpus_per_node=8, stages={"pretrain": {"nodes": 3, "gpus_per_node": 2}}))


@pytest.mark.parametrize("seed", range(8))
def test_two_who_share_a_suite_by_chance_never_wait_for_each_other_in_a_circle(seed):
    jobs = plan("ablation-targets", "ablation-depth")
    coin = random.Random(seed)
    shares: list[list[Job]] = [[], []]
    for job in jobs:
        shares[coin.random() < 0.5].append(job)
    waiting = [
        bundle(mine, by_kind, 1000, {job.id: job for job in others}) for mine, others in (shares, reversed(shares))
    ]
    submitted: set[str] = set()
    while any(waiting):
        ready = [own for own in waiting if own and {job.id for job in own[0].after} <= submitted]
        assert ready, "each waits for the other"
        for own in ready:
            submitted |= {job.id for job in own.pop(0).jobs}
    assert len(submitted) == len(jobs)
