"""SLURM's controller stands still for a minute while jobs start, train, end and ask for their next slice."""

import contextlib
import os
import shutil
import signal
import time

import pytest

from caebench.execution.schedulers.base import SchedulerSilent
from caebench.execution.schedulers.slurm import queue
from caebench.files.layout import ENCODER
from tests.slurm.bench import Bench, pretraining
from tests.slurm.cluster import Cluster
from tests.slurm.conftest import log_in, rendered, state
from tests.slurm.install import obstacle

__all__ = ["rendered", "state"]
OUTAGE = 60.0  # seconds
EPOCHS = {"start": 300, "middle": 1000, "end": 300, "requeue": 300}  # "middle" is to be the last
pytestmark = [
    pytest.mark.slurm,
    pytest.mark.slow,
    pytest.mark.skipif(obstacle() is not None, reason=f"no SLURM: {obstacle()}"),
]


@pytest.fixture
def cluster(state, monkeypatch):
    """A cluster of this test alone."""
    with Cluster(state) as started:
        yield log_in(started, monkeypatch)


@contextlib.contextmanager
def outage(cluster):
    """The controller's processes stand still for a minute."""
    stopped = [one for one in cluster.processes() if one.name == "slurmctld"]
    assert stopped, "there is a controller to stop"
    end = time.monotonic() + OUTAGE
    for one in stopped:
        os.kill(one.pid, signal.SIGSTOP)
    try:
        yield
        time.sleep(max(0.0, end - time.monotonic()))
    finally:
        for one in stopped:
            os.kill(one.pid, signal.SIGCONT)


def outcome(bench, job):
    """What must not depend on the outage: the losses, and the encoder bit for bit."""
    losses = {line["step"]: line["loss"] for line in bench.metrics(job) if "loss" in line}
    return losses, (bench.store.folder(job) / ENCODER).read_bytes()


def warn(cluster, job_id):
    """SLURM's warning, to every process of a job: what it sends itself waits for the controller."""
    for one in cluster.processes():
        if one.environment.get("SLURM_JOB_ID") == job_id and "SLURM_PROCID" in one.environment:
            os.kill(one.pid, signal.SIGUSR2)


def test_a_minute_without_a_controller_changes_no_result(cluster, rendered, tiny, tmp_path, monkeypatch, injected):
    injected(len(EPOCHS))
    jobs = {moment: pretraining(tiny, epochs) for moment, epochs in EPOCHS.items()}
    setup = {"start": ["sleep 8"]}  # its srun is to start in the outage
    benches = {moment: Bench(tmp_path / moment, setup=setup.get(moment, [])).add(rendered) for moment in jobs}
    for moments in (("middle",), ("requeue", "end"), ("start",)):
        for moment in moments:
            benches[moment].submit([jobs[moment]])
        for moment in moments:
            benches[moment].wait_for_steps([jobs[moment]], jobs[moment], 1 if moment != "start" else -1)
    with outage(cluster):
        warn(cluster, str(benches["requeue"].slurm_id(jobs["requeue"])))
        monkeypatch.setattr(queue, "CALL_LIMIT", 5.0)
        for verb in (benches["middle"].states, benches["end"].submit):
            with pytest.raises(SchedulerSilent, match=r"squeue: .*Run "):
                verb([jobs["middle"]])
        monkeypatch.setattr(queue, "CALL_LIMIT", 60.0)
    calm = Bench(tmp_path / "calm").add(rendered)
    different = list({job.id: job for job in jobs.values()}.values())
    calm.submit(different)
    for moment, job in jobs.items():
        assert benches[moment].wait([job]) == {job.id: "done"}, (moment, benches[moment].logs())
    assert set(calm.wait(different).values()) == {"done"}
    for moment, job in jobs.items():
        tries = [(one.get("outcome"), one.get("stopped_by"), one.get("cause")) for one in benches[moment].attempts(job)]
        print(moment, tries)
        assert outcome(benches[moment], job) == outcome(calm, job), moment
    assert [one.get("cause") for one in benches["requeue"].attempts(jobs["requeue"])] == ["time limit", None]


@pytest.mark.parametrize("seeds", [1, 2], ids=["job", "array"])
def test_a_job_whose_submission_is_not_answered_is_found_and_runs_once(
    cluster, rendered, tiny, tmp_path, monkeypatch, seeds
):
    """sbatch gives the job to SLURM and ends with an error."""
    jobs = [pretraining(tiny, epochs=1, base_lr=0.001 * (1 + seed)) for seed in range(seeds)]
    bench, stand_in = Bench(tmp_path / "store").add(rendered), tmp_path / "bin" / "sbatch"
    stand_in.parent.mkdir()
    said = "echo 'sbatch: error: Socket timed out on send/recv operation' >&2; exit 1"
    stand_in.write_text(f'#!/bin/sh\n{shutil.which("sbatch")} "$@" > /dev/null; {said}\n', encoding="utf8")
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", str(stand_in.parent), prepend=os.pathsep)
    ids = bench.submit(jobs)
    assert len(ids) == seeds and bench.submit(jobs) == {}
    assert set(bench.wait(jobs).values()) == {"done"}, bench.logs()
    assert [len(bench.attempts(job)) for job in jobs] == [1] * seeds
    assert len(cluster.run("scontrol", "--oneliner", "show", "jobs").splitlines()) == seeds
