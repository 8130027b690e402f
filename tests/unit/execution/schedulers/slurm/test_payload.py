"""What a SLURM job asks of SLURM when it starts and when it stops."""

import os

import pytest

from caebench.execution import provenance
from caebench.execution.schedulers.slurm import payload
from caebench.execution.schedulers.slurm.payload import Payload, own_job
from caebench.files.atomic import read_json, write_json
from caebench.files.layout import LEASE
from caebench.specs.site import Site
from caebench.store.lease import LeaseTaken, acquire

OTHERS = 'echo "7|RUNNING|None|0:01|1:00|n1"; echo "8|PENDING|Priority|0:00|1:00|"'


@pytest.fixture
def folder(tmp_path):
    """A job's folder, with the lease of a SLURM job."""
    found = tmp_path / "store" / "knn" / "a-0123456789"
    found.mkdir(parents=True)
    return found


def lease(folder, slurm_id):
    write_json(folder / LEASE, {"scheduler": "slurm", "scheduler_id": slurm_id, "purpose": "run", "host": "", "pid": 1})


def test_a_job_with_its_own_leases_asks_nothing(folder, fake_slurm, in_job):
    fake_slurm.put_failing("squeue", 1000, "")
    lease(folder, "7")
    found = own_job([folder])
    acquire(folder, found.holder, found.snapshot)
    assert found.holder.id == "7" and fake_slurm.calls("squeue") == []


@pytest.mark.parametrize(("holder", "is_taken"), [("8", True), ("9", False)])
def test_another_jobs_lease_is_looked_up_though_squeue_fails_at_first(folder, fake_slurm, in_job, holder, is_taken):
    fake_slurm.put_failing("squeue", 2, OTHERS)
    fake_slurm.put(sacct="", scontrol="echo No jobs in the system")
    lease(folder, holder)
    os.utime(folder / LEASE, (1, 1))
    found = own_job([folder])
    assert fake_slurm.calls("squeue")[2:] and f"--jobs 7,{holder}" in fake_slurm.calls("squeue")[2]
    if is_taken:
        with pytest.raises(LeaseTaken):
            acquire(folder, found.holder, found.snapshot)
    else:
        acquire(folder, found.holder, found.snapshot)


def test_only_the_first_process_of_a_job_asks(folder, fake_slurm, in_job, monkeypatch):
    monkeypatch.setenv("SLURM_PROCID", "1")
    fake_slurm.put(squeue=OTHERS)
    lease(folder, "8")
    assert own_job([folder]).snapshot.jobs == {} and fake_slurm.calls("squeue") == []


def test_a_warning_outside_of_training_requeues_though_the_controller_is_silent_at_first(folder, fake_slurm, in_job):
    fake_slurm.put_failing("scontrol", 3, 'echo "JobId=7 JobState=RUNNING PreemptTime=None"')
    job = Payload([folder], folder.parents[1], Site())
    with pytest.raises(SystemExit):
        job.checkpoint()
    assert fake_slurm.calls("scontrol")[-1] == "requeue 7" and len(fake_slurm.calls("scontrol")) == 5
    assert '"cause": "time limit"' in (folder / "attempts.jsonl").read_text()


@pytest.mark.parametrize(("holder", "is_ours"), [("7", True), ("8", False)])
def test_a_job_that_cannot_know_where_its_processes_meet_has_failed(folder, in_job, monkeypatch, holder, is_ours):
    monkeypatch.setattr(payload.rendezvous, "export", lambda _: 1 / 0)
    lease(folder, holder)
    with pytest.raises(ZeroDivisionError):
        Payload([folder], folder.parents[1], Site())()
    assert (folder / "failure.json").exists() == is_ours
    assert not is_ours or read_json(folder / "failure.json")["error"] == "ZeroDivisionError: division by zero"


@pytest.fixture
def running(monkeypatch):
    """The code of this process."""
    known = {"commit": "b" * 40, "dirty": True, "sha256": "2" * 64}
    monkeypatch.setattr(provenance, "code", lambda: known)
    return known


def test_a_job_refuses_other_code_than_it_was_submitted_with_and_names_both(folder, in_job, running):
    job = Payload([folder], folder.parents[1], Site(), {"commit": "a" * 40, "dirty": False, "sha256": "1" * 64})
    said = (
        f"submitted with commit {'a' * 12} (files {'1' * 12}), but {provenance.REPOSITORY} has commit {'b' * 12} with "
        f"changes (files {'2' * 12}). The snapshot of the code was changed or deleted. Submit the job again."
    )
    with pytest.raises(RuntimeError) as caught:
        job()
    assert str(caught.value) == said == read_json(folder / "failure.json")["error"]


def test_a_job_runs_the_code_that_it_was_submitted_with(folder, in_job, running):
    Payload([folder], folder.parents[1], Site(), {**running, "dirty": False})._check_code([folder])
    Payload([folder], folder.parents[1], Site())._check_code([folder])
    assert not (folder / "failure.json").exists()


def test_a_finished_job_that_is_requeued_does_not_look_at_its_code(folder, in_job, running):
    write_json(folder / "result.json", {})
    assert Payload([folder], folder.parents[1], Site(), {**running, "sha256": ""})() == "done"
