"""The test cluster is a real SLURM: what caebench relies on, seen on it."""

from pathlib import Path
from typing import Any

import pytest
import submitit

from tests.slurm.cluster import Cluster, ClusterError
from tests.slurm.configuration import Settings
from tests.slurm.hosts import HOSTS
from tests.slurm.install import WITH_ACCOUNTING, obstacle
from tests.slurm.payloads import Interrupted, add
from tests.slurm.processes import eventually

NO_DATABASE = obstacle(WITH_ACCOUNTING)
UNMET = "--kill-on-invalid-dep=yes"


def result(job: submitit.Job, patience: float = 60) -> Any:
    """A job's result; submitit alone would wait for ever for some."""
    assert eventually(job.done, patience, pause=0.3), f"{job.job_id}: {job.state}"
    return job.result()


def start(executor: submitit.AutoExecutor, folder: Path) -> submitit.Job:
    """A job that is at work and waits for its interruption."""
    job = executor.submit(Interrupted(), folder)
    assert eventually((folder / "0").exists, 60), f"{job.job_id}: {job.state}"
    return job


def test_a_command_comes_back(cluster):
    job = cluster.submit("echo from $SLURMD_NODENAME", "--wait", "--nodelist=n2")
    assert cluster.output(job) == "from n2\n"


def test_a_failure_is_told_with_its_words(cluster):
    job = cluster.submit("exit 3")
    assert cluster.wait_for(job, "FAILED")["ExitCode"] == "3:0"
    with pytest.raises(ClusterError, match=rf"job {job}: FAILED \(NonZeroExitCode\), not COMPLETED"):
        cluster.wait_for(job, "COMPLETED")
    with pytest.raises(ClusterError, match="Invalid partition name"):
        cluster.submit("true", "--partition=nowhere")


def test_submitit_brings_results_back(executor):
    jobs = executor.map_array(add, [1, 2], [3, 4])
    assert [result(job) for job in jobs] == [4, 6]


def test_sacct_answers_without_accounting(cluster):
    array = cluster.submit("true", "--array=0")
    cluster.wait_for(array, "COMPLETED")
    held = cluster.submit("true", "--hold", "--array=1-3%2")
    lines = cluster.run("sacct", "-o", "JobID,State,NodeList", "--parsable2", "-j", array, "-j", held).splitlines()
    assert lines[0] == "JobID|State|NodeList"
    assert sorted(lines[1:]) == sorted([f"{array}_0|COMPLETED|n1", f"{held}_[1-3%2]|PENDING|None assigned"])
    cluster.run("scancel", held)


def test_a_failure_cancels_its_dependents_to_the_last(cluster):
    parent = cluster.submit("exit 1", "--hold")
    child = cluster.submit("true", f"--dependency=afterok:{parent}", UNMET)
    grandchild = cluster.submit("true", f"--dependency=afterok:{child}", UNMET)
    bystander = cluster.submit("true", f"--dependency=afterany:{parent}", UNMET)
    cluster.run("scontrol", "release", parent)
    cluster.wait_for(child, "CANCELLED")
    cluster.wait_for(grandchild, "CANCELLED")
    cluster.wait_for(bystander, "COMPLETED")


@pytest.mark.slow  # a requeue waits
def test_an_interrupted_job_checkpoints_and_goes_on_under_its_id(login, executor, tmp_path):
    job = start(executor, tmp_path)
    dependent = login.submit("true", f"--dependency=afterok:{job.job_id}", UNMET)
    login.run("scancel", "--signal", "USR2", job.job_id)  # and no SIGTERM, which would end submitit's scontrol
    assert result(job) == (job.job_id, 1)
    assert login.wait_for(job.job_id, "COMPLETED")["Restarts"] == "1"
    login.wait_for(dependent, "COMPLETED")


@pytest.mark.slow  # a requeue waits
def test_a_job_in_main_preempts_one_in_requeue(login, executor, tmp_path):
    executor.update_parameters(slurm_partition="requeue", nodes=1, slurm_nodelist="n1", gpus_per_node=2)
    victim = start(executor, tmp_path)
    winner = login.submit("true", "--partition=main", "--nodelist=n1", "--gpus-per-node=2")
    login.wait_for(winner, "COMPLETED")
    assert not (tmp_path / "1").exists()
    assert result(victim) == (victim.job_id, 1)


def test_gpus_are_counted(cluster):
    both = ("--gpus-per-node=2", "--nodelist=n1")
    assert cluster.run("srun", *both, "printenv", "CUDA_VISIBLE_DEVICES").strip() == "0,1"
    holder = cluster.submit("sleep 60", "--gpus-per-node=1", "--nodelist=n1")
    cluster.wait_for(holder, "RUNNING")
    other = cluster.submit("echo $CUDA_VISIBLE_DEVICES", "--gpus-per-node=1", "--nodelist=n1")
    cluster.wait_for(other, "COMPLETED")
    assert cluster.output(other) == "1\n"
    waiting = cluster.submit("true", *both)
    assert eventually(lambda: cluster.job(waiting)["Reason"] in ("Resources", "Priority"), 10)
    cluster.run("scancel", holder)
    cluster.wait_for(waiting, "COMPLETED")
    with pytest.raises(ClusterError, match="not available"):
        cluster.submit("true", "--gpus-per-node=3")


def test_a_node_is_set_down_and_resumed(cluster):
    cluster.set_down("n2")
    assert cluster.node_states() == {"n1": "idle", "n2": "down"}
    waiting = cluster.submit("true", "--nodelist=n2")
    assert eventually(lambda: "UnavailableNodes:n2" in cluster.job(waiting)["Reason"], 10)
    cluster.resume("n2")
    cluster.wait_for(waiting, "COMPLETED")


@pytest.mark.slow
def test_a_job_on_a_crashed_node_is_requeued_on_the_other(state):
    with Cluster(state, Settings(node_timeout=5, kill_wait=2, requeue_wait=5, extra=("MessageTimeout=5",))) as cluster:
        job = cluster.submit('[ "$SLURM_RESTART_COUNT" ] || sleep 300; echo $SLURMD_NODENAME')
        crashed = cluster.wait_for(job, "RUNNING")["NodeList"]
        cluster.kill_node(crashed)
        assert cluster.wait_for(job, "COMPLETED", patience=90)["Restarts"] == "1"
        assert {crashed, cluster.output(job).strip()} == {"n1", "n2"}
        cluster.restore_node(crashed)
        assert cluster.run("srun", f"--nodelist={crashed}", "echo", "back") == "back\n"


@pytest.mark.slow
@pytest.mark.skipif(NO_DATABASE is not None, reason=str(NO_DATABASE))
def test_slurms_own_accounting_keeps_what_a_requeue_hides(state):
    with Cluster(state, Settings(accounting="slurmdbd", kill_wait=2, requeue_wait=5)) as cluster:
        job = cluster.submit('[ "$SLURM_RESTART_COUNT" ] || sleep 300')
        cluster.set_down(cluster.wait_for(job, "RUNNING")["NodeList"])
        cluster.wait_for(job, "COMPLETED")
        question = ["sacct", "-n", "-X", "-P", "-o", "State", "-j", job]
        assert eventually(lambda: cluster.run(*question) == "COMPLETED\n", 20)
        assert cluster.run(*question, "-D") == "NODE_FAIL\nCOMPLETED\n"


@pytest.mark.slow
def test_stop_leaves_no_process_and_start_begins_anew(state):
    cluster = Cluster(state, Settings(num_nodes=3, gpus=0, kill_wait=1, accounting="none"))
    with cluster:
        job = cluster.submit("trap '' TERM; sleep 300 & wait; sleep 300")
        cluster.wait_for(job, "RUNNING")
        expected = {"munged", "slurmctld", "slurmd", "slurmstepd", "slurm_script", "sleep"}
        assert eventually(lambda: {one.name for one in cluster.processes()} >= expected, 10)
        with pytest.raises(ClusterError, match="accounting storage is disabled"):
            cluster.run("sacct")
        assert cluster.run("getent", "hosts", "n3").split() == ["127.0.0.1", "n3"]
    assert cluster.processes() == []
    assert str(state) not in HOSTS.read_text(encoding="utf8")
    cluster.stop()
    with cluster:
        assert list(cluster.node_states()) == ["n1", "n2", "n3"]
        with pytest.raises(ClusterError, match="Invalid job id"):
            cluster.job(job)


def test_a_daemon_that_fails_is_named_with_its_log(state):
    cluster = Cluster(state, Settings(extra=("NoSuchKey=1",)))
    with pytest.raises(ClusterError, match=r"(?s)slurmctld.*NoSuchKey"):
        cluster.start()
    assert cluster.processes() == []


def test_a_folder_must_be_its_own_and_short(state):
    (state / "thesis.tex").touch()
    with pytest.raises(ClusterError, match="neither empty nor a test cluster's"):
        Cluster(state).start()
    with pytest.raises(ClusterError, match="at most 60 characters"):
        Cluster(state / ("x" * 60)).start()


def test_a_requeued_job_must_not_meet_its_former_self():
    with pytest.raises(ValueError, match="requeue_wait=3 must exceed kill_wait=3"):
        Settings(requeue_wait=3)


def test_the_obstacle_names_the_packages(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda program, path: None if program == "slurmd" else f"/usr/bin/{program}")
    assert "missing: slurmd" in obstacle()
