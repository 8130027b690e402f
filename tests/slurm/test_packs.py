"""Small jobs as one SLURM job (ADR 23)."""

import os
import signal
import subprocess
from collections import Counter

import pytest
import torch
from safetensors.torch import load_file

from caebench.specs.job import Job
from tests.slurm.bench import Bench, pretraining, with_knn, with_probes
from tests.slurm.scenes import Scene, begins


@pytest.fixture
def chains(tiny):
    """Two encoders with all their probes, inputs first; their data."""
    encoders = [pretraining(tiny, epochs=150, base_lr=rate) for rate in (0.01, 0.02)]
    jobs = {job.id: job for encoder in encoders for job in with_probes(tiny, encoder)}
    return encoders, list(jobs.values())


@pytest.mark.slow
def test_chains_side_by_side_warned_and_requeued_end_like_each_alone(bench, chains, tmp_path):
    encoders, jobs = chains
    ids = bench.submit(jobs, pack=2)
    data = [job for job in jobs if job.kind == "synthetic"]
    assert len(set(ids.values())) == len(data) + 1 and ids[encoders[0].id] == ids[encoders[1].id]
    for encoder in encoders:
        bench.wait_for_steps(jobs, encoder, 20)
    waiting = bench.explain(jobs)[jobs[-1].id]
    assert waiting == ("queued", f"in SLURM job {ids[encoders[0].id]}, which runs others first")
    assert bench.submit(jobs, pack=2) == {}, "what waits in a pack is not submitted again"
    subprocess.run(["scancel", "--signal", "USR2", ids[encoders[0].id]], check=True)
    assert set(bench.wait(jobs).values()) == {"done"}
    for encoder in encoders:
        assert [(t["scheduler_id"], t.get("cause")) for t in bench.attempts(encoder)] == [
            (ids[encoder.id], "time limit"),
            (ids[encoder.id], None),
        ]
    calm = Bench(tmp_path / "calm")
    calm.submit(jobs)
    assert set(calm.wait(jobs).values()) == {"done"}
    for encoder in encoders:
        ours, theirs = (load_file(one.store.folder(encoder) / "encoder.safetensors") for one in (bench, calm))
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    for job in jobs:
        assert bench.store.result(job)["metrics"] == calm.store.result(job)["metrics"]


def submit_a_pack(scene: Scene) -> tuple[Bench, list[Job], dict[str, str]]:
    """Two encoders, of which one cannot be written, and their probes."""
    bench, encoders = scene.bench(), [pretraining(scene.tiny, epochs=epochs) for epochs in (3, 6)]
    jobs = list({job.id: job for encoder in encoders for job in with_knn(scene.tiny, encoder)}.values())
    (bench.store.prepare(encoders[0]) / "encoder.safetensors").mkdir()
    return bench, jobs, bench.submit(jobs, pack=2)


@pytest.mark.slow
@begins(submit_a_pack)
def test_a_pack_is_one_slurm_job_and_a_failure_in_it_blocks_only_what_depends_on_it(started):
    bench, (_, failing, blocked, *others), ids = started
    assert len(ids) == 4 and len(set(ids.values())) == 1
    states = bench.wait([failing, blocked, *others])
    assert states == {failing.id: "failed", blocked.id: "blocked", **{job.id: "done" for job in others}}
    assert [len(bench.attempts(job)) for job in (failing, blocked, *others)] == [1, 0, 1, 1]


@pytest.mark.slow
def test_a_failure_in_a_pack_blocks_only_its_dependents_and_heals(bench, tiny):
    """And it is not tried again after a requeue of the others."""
    encoders = [pretraining(tiny, epochs=epochs) for epochs in (3, 150)]
    jobs = list({job.id: job for encoder in encoders for job in with_knn(tiny, encoder)}.values())
    obstacle = bench.store.prepare(encoders[0]) / "encoder.safetensors"
    obstacle.mkdir()  # the encoder cannot be written
    slurm_id = bench.submit(jobs, pack=2)[encoders[0].id]
    bench.wait(jobs, lambda states: states[encoders[0].id] == "failed")
    bench.wait_for_steps(jobs, encoders[1], 5)
    subprocess.run(["scancel", "--signal", "USR2", slurm_id], check=True)
    states = bench.wait(jobs)
    assert states[encoders[0].id] == "failed" and states[encoders[1].id] == "done"
    assert Counter(states.values()) == {"failed": 1, "blocked": 1, "done": len(jobs) - 2}
    assert [len(bench.attempts(encoder)) for encoder in encoders] == [1, 2]
    obstacle.rmdir()
    assert len(bench.submit(jobs, pack=2)) == 2
    assert set(bench.wait(jobs).values()) == {"done"}


@pytest.mark.slow
def test_what_does_not_stop_in_time_is_ended_and_begins_again(login, tiny, tmp_path):
    """A job that never looks at the warning must not cost the pack its requeue."""
    bench = Bench(tmp_path / "store", warning_seconds=4)
    encoder = pretraining(tiny, epochs=200)
    jobs = with_knn(tiny, encoder)
    slurm_id = bench.submit(jobs, pack=2)[encoder.id]
    bench.wait_for_steps(jobs, encoder, 5)
    os.kill(bench.attempts(encoder)[0]["pid"], signal.SIGSTOP)
    subprocess.run(["scancel", "--signal", "USR2", slurm_id], check=True)
    assert set(bench.wait(jobs).values()) == {"done"}
    assert [(t.get("cause"), t.get("outcome")) for t in bench.attempts(encoder)] == [
        ("time limit", None),
        (None, "done"),
    ]
