"""What SLURM and submitit do to those who trust them, and that nothing here falls for it (docs/cluster.md)."""

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import submitit
import torch
from safetensors.torch import load_file
from submitit.core.utils import DelayedSubmission

from caebench.data.loading import Steps
from caebench.execution.schedulers.slurm.queue import NAME
from caebench.execution.schedulers.slurm.submissions import Submission
from caebench.execution.schedulers.slurm.submit import parameters
from caebench.specs.job import Job
from caebench.specs.slurm import Slurm
from caebench.store.holders import HolderId, holder
from caebench.store.lease import hand_over
from caebench.store.state import Statuses
from tests.slurm.bench import ROOT, Bench, pretraining, with_knn
from tests.slurm.cluster import Cluster, ClusterError
from tests.slurm.configuration import Settings
from tests.slurm.conftest import log_in
from tests.slurm.payloads import Masked
from tests.slurm.processes import eventually
from tests.slurm.scenes import Scene, begins

DIVERGING = {"epochs": 12, "base_lr": 1e30, "warmup_epochs": 0.0, "clip_grad": None}


@pytest.fixture
def data(tiny) -> Job:
    """A job of some seconds."""
    return pretraining(tiny, epochs=1).inputs["data"]


@pytest.mark.slow
def test_an_upstream_that_slurm_has_forgotten_lets_nothing_train(state, tmp_path, tiny, monkeypatch):
    """SLURM drops the dependency, and starts what waited for a failure; newer versions refuse it."""
    with Cluster(state, Settings(min_job_age=2)) as cluster:
        log_in(cluster, monkeypatch)
        bench, jobs = Bench(tmp_path), with_knn(tiny, pretraining(tiny, **DIVERGING))
        _, encoder, probe = jobs
        old = bench.submit(jobs[:2])[encoder.id]
        assert bench.wait(jobs[:2])[encoder.id] == "failed"
        assert eventually(lambda: is_forgotten(cluster, old), 150, pause=1)
        hand_over(bench.store.folder(encoder), HolderId(NAME, old))  # as if it were in the queue
        if refuses_unknown_parents(cluster):
            with pytest.raises(ValueError, match="Job dependency problem"):
                bench.submit([probe])
            assert bench.states([probe])[probe.id] in ("todo", "blocked") and bench.attempts(probe) == []
            return
        assert set(bench.submit([probe])) == {probe.id}
        assert bench.wait([probe]) == {probe.id: "failed"}
        _, reason = Statuses(bench.store).of(bench.store.folder(probe))
        assert f"input 'encoder': {encoder.name.rpartition('/')[2]} is not done" in reason
        assert bench.num_lines(probe) == 0 and len(bench.attempts(probe)) == 1


def refuses_unknown_parents(cluster: Cluster) -> bool:
    try:
        cluster.submit("true", "--dependency=afterok:999999999", "--hold")
    except ClusterError:
        return True
    return False


def is_forgotten(cluster: Cluster, job_id: str) -> bool:
    try:
        cluster.job(job_id)
    except ClusterError:
        return True
    return False


@pytest.mark.slow
def test_a_finished_job_that_is_requeued_returns_at_once(login, bench, data):
    """As newer versions do by themselves, where two requeues add up."""
    slurm_id = bench.submit([data])[data.id]
    bench.wait([data])
    login.wait_for(slurm_id, "COMPLETED")
    folder = bench.store.folder(data)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    login.run("scontrol", "requeue", slurm_id)
    login.wait_for(slurm_id, "PENDING", "RUNNING")
    assert bench.explain([data]) == {data.id: ("done", "")}, "its own records count"
    assert bench.submit([data]) == {}
    assert eventually(lambda: ended_again(login, slurm_id), 60)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    assert len(bench.attempts(data)) == 1 and holder(folder) == {}


def ended_again(cluster: Cluster, job_id: str) -> bool:
    record = cluster.job(job_id)
    return (record["Restarts"], record["JobState"]) == ("1", "COMPLETED")


@pytest.mark.slow
def test_a_node_that_is_taken_down_alive_changes_no_number(login, tmp_path, tiny):
    """Its old processes live on for a while; sacct speaks of the end; nobody else may take the job meanwhile."""
    calm, bench = Bench(tmp_path / "calm"), Bench(tmp_path / "store")
    encoder = pretraining(tiny, epochs=100)
    jobs = [*encoder.ancestors(), encoder]
    calm.submit(jobs)
    calm.wait(jobs)
    slurm_id = bench.submit(jobs)[encoder.id]
    bench.wait_for_steps(jobs, encoder, 3)
    node = bench.node(encoder)
    seen: set[str] = set()

    def watch(states: dict[str, str]) -> bool:
        seen.add(states[encoder.id])
        assert bench.submit(jobs) == {}
        return states[encoder.id] == "done"

    try:
        login.set_down(node)
        bench.wait(jobs, watch)
    finally:
        login.resume(node)
    assert seen <= {"running", "queued", "done"} and "queued" in seen
    assert {attempt["scheduler_id"] for attempt in bench.attempts(encoder)} == {slurm_id}
    ours, theirs = (load_file(b.store.folder(encoder) / "encoder.safetensors") for b in (bench, calm))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert bench.read(encoder, "result.json")["metrics"] == calm.read(encoder, "result.json")["metrics"]
    losses = [[line["step"] for line in b.metrics(encoder)] for b in (bench, calm)]
    assert losses[0] == losses[1], "no line twice, none torn"


def test_an_array_is_split_where_the_cluster_says(state, tmp_path, tiny, data, monkeypatch):
    jobs = [data, *(pretraining(tiny, epochs=number) for number in range(10, 24))]
    with Cluster(state, Settings(extra=("MaxArraySize=6",))) as cluster:
        log_in(cluster, monkeypatch)
        unaware = Bench(tmp_path / "unaware", setup=("sleep 600",))
        with pytest.raises(ValueError, match=r"Invalid job array.*Correct \[slurm\] in the site file"):
            unaware.submit(jobs)
        assert [bool(unaware.slurm_id(job)) for job in jobs] == [True] + [False] * 14

        bench = Bench(tmp_path / "store", setup=("sleep 600",), max_array=5)
        ids = bench.submit(jobs)
        arrays = {slurm_id.partition("_")[0] for slurm_id in ids.values() if "_" in slurm_id}
        assert len(arrays) == 3 and len(set(ids.values())) == len(jobs) == 15
        assert set(bench.states(jobs).values()) <= {"queued", "running"}
        for job in jobs[1:]:
            pickled = tmp_path / "store" / "slurm" / f"{ids[job.id]}_submitted.pkl"
            assert DelayedSubmission.load(pickled).function.folders == (bench.store.folder(job),)
            assert cluster.job(ids[job.id])["Dependency"].startswith(f"afterok:{ids[data.id]}")


def submit_neighbours(scene: Scene) -> list[submitit.Job[str]]:
    """Two jobs that want a GPU each, of one node."""
    executor = submitit.AutoExecutor(folder=scene.folder / "submitit", cluster="slurm")
    settings = Slurm(partition="main", gpus_per_node=1, cpus_per_task=1, minutes=60)
    executor.update_parameters(**parameters(settings, Submission(()), {}, None), slurm_nodelist="n1")
    folders = tuple(scene.folder / name for name in ("one", "two"))
    jobs: list[submitit.Job[str]] = []
    for folder in folders:
        folder.mkdir()
        payload = Masked([folder], scene.folder, Bench(scene.folder).site)
        payload.neighbours = folders
        jobs.append(executor.submit(payload))
    return jobs


@begins(submit_neighbours)
def test_neighbours_on_a_node_keep_the_gpus_that_slurm_gave_them(started):
    """submitit would give each the first one."""
    jobs = started
    assert eventually(lambda: all(job.done() for job in jobs), 120)
    assert {job.result() for job in jobs} == {"0", "1"}


def kill_between(bench: Bench, data: Job, tmp_path: Path) -> None:
    """Submit from a process that dies after sbatch, before it has written the id."""
    code = (
        "import os, pickle, sys; from caebench.execution.schedulers.slurm import submit;"
        "submit.hand_over = lambda *_: os.kill(os.getpid(), 9);"
        "site, store, jobs = pickle.load(open(sys.argv[1], 'rb')); submit.Cluster(site, store).submit(jobs, None)"
    )
    plan = tmp_path / "plan.pkl"
    plan.write_bytes(pickle.dumps((bench.site, bench.store, [data])))
    assert subprocess.run([sys.executable, "-c", code, str(plan)], cwd=ROOT).returncode == -signal.SIGKILL
    lease = holder(bench.store.folder(data))
    assert (lease["purpose"], lease["scheduler_id"]) == ("submit", None)


def submit_and_die(scene: Scene) -> tuple[Bench, Job]:
    bench, data = Bench(scene.folder / "store"), rendering(scene)
    kill_between(bench, data, scene.folder)
    return bench, data


def rendering(scene: Scene) -> Job:
    """A job of some seconds."""
    return pretraining(scene.tiny, epochs=1).inputs["data"]


@pytest.mark.slow
@begins(submit_and_die)
def test_a_job_whose_submitter_died_takes_its_lease(started):
    bench, data = started
    assert eventually(lambda: bench.slurm_id(data) is not None or bench.attempts(data) != [], 120)
    assert bench.submit([data]) == {}
    assert bench.wait([data]) == {data.id: "done"}
    assert len(bench.attempts(data)) == 1


def submit_after_a_death(scene: Scene) -> tuple[Bench, Job, str]:
    """The first submitter's job still waits, and nobody knows its id, when the second's is submitted."""
    scene.cluster.run("scontrol", "create", "PartitionName=later", "Nodes=ALL", "PriorityTier=10", "State=DOWN")
    bench, data = Bench(scene.folder / "store", partition="later"), rendering(scene)
    kill_between(bench, data, scene.folder)
    slurm_id = bench.submit([data])[data.id]
    scene.cluster.run("scontrol", "update", "PartitionName=later", "State=UP")
    return bench, data, slurm_id


@pytest.mark.slow
@begins(submit_after_a_death)
def test_submitted_again_after_a_dead_submitter_it_runs_once(started, login):
    bench, data, slurm_id = started
    assert bench.wait([data]) == {data.id: "done"}
    login.wait_for(slurm_id, "COMPLETED")
    assert [attempt["scheduler_id"] for attempt in bench.attempts(data)] == [slurm_id]


def submit_as_a_job(scene: Scene) -> tuple[Bench, Job]:
    """With the variables of an outer job."""
    for name in ("SLURM_MEM_PER_CPU", "SLURM_MEM_PER_GPU"):
        scene.environment.setenv(name, "100")
    bench, data = Bench(scene.folder / "store", memory_gb=1), rendering(scene)
    bench.submit([data])
    assert os.environ["SLURM_MEM_PER_CPU"] == "100"
    return bench, data


@pytest.mark.slow
@begins(submit_as_a_job)
def test_a_job_can_submit(started):
    """srun refuses to start under two limits of memory: the outer job's variables must not reach it."""
    bench, data = started
    assert bench.wait([data]) == {data.id: "done"}, bench.logs()


def submit_to_two_with_one_bad_image(scene: Scene) -> tuple[Bench, Job, Path, str]:
    bench, encoder = scene.bench(stages={"pretrain": {"tasks_per_node": 2}}), pretraining(scene.tiny, epochs=12)
    image = first_image(bench, encoder, rank=1)
    image.write_bytes(image.read_bytes()[:100])
    return bench, encoder, image, bench.submit([*encoder.ancestors(), encoder])[encoder.id]


@begins(submit_to_two_with_one_bad_image)
def test_the_process_that_failed_first_is_heard(started, login):
    """The others only lose their connection; they are ended with it."""
    bench, encoder, image, slurm_id = started
    assert bench.wait([encoder]) == {encoder.id: "failed"}
    _, reason = Statuses(bench.store).of(bench.store.folder(encoder))
    assert str(image) in reason and "caebench data check" in reason
    login.wait_for(slurm_id, "FAILED")


def first_image(bench: Bench, job: Job, rank: int) -> Path:
    """The first training image that only this one of two processes reads."""
    data = job.config.data
    split = data.dataset.open(data.roots({}, {"data": bench.store.folder(job.inputs["data"])}), "train", data.size)
    batch = job.config.optimization.global_batch
    steps = Steps(len(split.entries), batch, seed=job.config.seed, start=0, stop=1, rank=rank, size=2, micro=batch // 2)
    ((_, index), *_), *_ = steps
    return split.root / split.entries[index][0]
