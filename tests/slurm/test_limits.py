"""What a long pretraining goes through on a cluster, all of it real: time limits, preemptions, the loss of its node."""

import json
import math

import pytest
import torch
from safetensors.torch import load_file

from caebench.specs.job import Job
from caebench.store.state import attempts
from tests.slurm.bench import Bench, pretraining, with_probes

SECONDS = 150.0  # of computing: at least six slices, since a minute's limit leaves less than 25 s for it
STEPS_PER_EPOCH = 2


def steps_per_second(bench: Bench, job: Job) -> float:
    """How fast a finished job went."""
    lines = (bench.store.folder(job) / "metrics.jsonl").read_text().splitlines()
    speeds = sorted(json.loads(line)["images_per_second"] for line in lines)
    return speeds[len(speeds) // 2] / job.config.optimization.global_batch


def preempt(login, bench: Bench, encoder: Job) -> None:
    """Give a job's node to a job of more rank."""
    rival = login.submit("sleep 2", "--partition=main", f"--nodelist={bench.node(encoder)}", "--cpus-per-task=4")
    login.wait_for(rival, "COMPLETED")


def crash(login, bench: Bench, encoder: Job) -> None:
    """Lose the node that a job runs on."""
    node = bench.node(encoder)
    login.kill_node(node)
    bench.wait([encoder], lambda states: states[encoder.id] == "queued")
    login.restore_node(node)


@pytest.mark.slow
def test_limits_preemptions_and_a_lost_node_change_no_weight(login, tiny, tmp_path):
    """Five time limits, two preemptions and a crash of its node: the same weights, bit for bit; then its probes run."""
    first = Bench(tmp_path / "first")
    short = pretraining(tiny, epochs=400)
    first.submit([*short.ancestors(), short])
    first.wait([short])
    epochs = math.ceil(steps_per_second(first, short) * SECONDS / STEPS_PER_EPOCH)
    encoder = pretraining(tiny, epochs)
    jobs = with_probes(tiny, encoder)
    calm = Bench(tmp_path / "calm")
    calm.submit(jobs)
    assert set(calm.wait(jobs, patience=10 * SECONDS).values()) == {"done"}
    assert len(attempts(calm.store.folder(encoder))) == 1

    rough = Bench(tmp_path / "rough", stages={"pretrain": {"minutes": 1, "partition": "requeue"}})
    slurm_id = rough.submit(jobs)[encoder.id]
    for slice_number, blow in ((2, preempt), (4, crash), (6, preempt)):
        rough.wait([encoder], lambda states, n=slice_number: is_at_work(rough, encoder, n), patience=600)
        blow(login, rough, encoder)
    assert set(rough.wait(jobs, patience=40 * SECONDS).values()) == {"done"}
    tries = attempts(rough.store.folder(encoder))
    assert {attempt["scheduler_id"] for attempt in tries} == {slurm_id}
    causes = [attempt.get("cause") for attempt in tries]
    assert causes.count("time limit") >= 5 and causes.count("preemption") == 2, causes
    assert sum("ends" not in attempt for attempt in tries) == 1, "the crash, and nothing else"
    ours, theirs = (load_file(bench.store.folder(encoder) / "encoder.safetensors") for bench in (rough, calm))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    for job in jobs[len(encoder.ancestors()) + 1 :]:
        assert rough.store.result(job)["metrics"] == calm.store.result(job)["metrics"]


def is_at_work(bench: Bench, job: Job, slice_number: int) -> bool:
    """Whether a slice, or a later one, has come as far as to write a line of metrics."""
    folder = bench.store.folder(job)
    tries = attempts(folder)
    if len(tries) < slice_number or "ends" in tries[-1]:
        return False
    path = folder / "metrics.jsonl"
    return path.exists() and path.stat().st_mtime > (folder / "provenance.json").stat().st_mtime
