"""What `run suite` says of jobs whose lease another holder has, with a scheduler that only takes what it is given."""

import os
import re
import sys
import time

import pytest

from caebench.cli import main
from caebench.execution import snapshot as snapshots
from caebench.execution.schedulers import registry
from caebench.execution.schedulers.slurm import queue, submit
from caebench.files.atomic import write_json
from caebench.files.layout import LEASE
from caebench.planning.graph import make_plan
from caebench.planning.scale import find_scale
from caebench.store.holders import HolderId, holder
from caebench.store.lease import acquire, hand_over
from caebench.store.queue import QueuedJob, QueueSnapshot
from caebench.store.store import Store
from caebench.suites import loading as suites

SUITE = """
source = { title = "One" }
pretrain = { recipe = "random" }
columns.knn = { header = "k-NN", eval = "knn" }
rows = [{ label = "Random encoder" }]
"""
SITE = 'store = "{store}"\nshared_store = true\ndevice = "cpu"\n[slurm]\npartition = "main"\ngpus_per_node = 0\n'
RUNS = QueuedJob("running", "", 60.0, None, "n1")
ANNS = {"purpose": "run", "host": "login", "pid": 1, "started": "1", "user": "ann", "time": "noon"}
QUEUED = {**ANNS, "scheduler": "slurm", "scheduler_id": "7"}


@pytest.fixture
def submitted(monkeypatch):
    """The names of the jobs that sbatch was given; the queue shows only these."""
    names = []

    def take(cluster, submission, ids, code, groups):
        given = {}
        for job in submission.jobs:
            names.append(job.name)
            given[job.id] = str(100 + len(names))
            hand_over(cluster.store.folder(job), HolderId("slurm", given[job.id]))
        return given

    def snapshot(*_):
        ours = {str(101 + number): RUNS for number in range(len(names))}
        return QueueSnapshot("slurm", "SLURM", time.time(), ours)

    monkeypatch.setattr(submit, "OTHERS", 0.5)  # seconds

    monkeypatch.setattr(submit.Cluster, "_submit", take)
    monkeypatch.setattr(snapshots, "take", lambda store, dirty: None)
    monkeypatch.setattr(queue, "snapshot_now", snapshot)
    monkeypatch.setattr(queue, "complete", lambda snapshot, job_ids: snapshot)
    monkeypatch.setattr(registry, "query", lambda folders: {"slurm": snapshot()})
    return names


@pytest.fixture
def desk(tmp_path, monkeypatch, capsys, submitted):
    """Run a suite of a data set, an encoder and a probe: exit status and output."""
    sites = tmp_path / ".config" / "caebench" / "sites"
    sites.mkdir(parents=True)
    (sites / "cluster.toml").write_text(SITE.format(store=tmp_path / "store"))
    (tmp_path / "one.toml").write_text(SUITE)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.delenv("CAEBENCH_STORE", raising=False)
    monkeypatch.chdir(tmp_path)

    def run(*more):
        arguments = ["run", "suite", str(tmp_path / "one.toml"), "--site", "cluster", "--yes", *more]
        monkeypatch.setattr(sys, "argv", ["caebench", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        output = capsys.readouterr()
        return end.value.code or 0, output.out + output.err

    return run


@pytest.fixture
def folders(tmp_path):
    """The folders of its jobs by kind."""
    store = Store(tmp_path / "store")
    jobs = make_plan(suites.load(str(tmp_path / "one.toml")), find_scale("nano"), [0]).jobs
    return {job.kind: store.prepare(job) for job in jobs}


def hold(folder, age, **lease):
    write_json(folder / LEASE, lease)
    os.utime(folder / LEASE, (time.time() - age,) * 2)


def test_all_jobs_are_submitted_where_nobody_has_them(desk, folders, submitted):
    status, output = desk()
    assert status == 0 and "3 submitted" in output, output
    assert "Not submitted" not in output
    assert sorted(submitted) == sorted(f"{path.parent.name}/{path.name}" for path in folders.values())


def test_what_another_user_has_queued_is_told(desk, folders, submitted):
    for folder in folders.values():
        hold(folder, 1e6, **QUEUED)
    status, output = desk()
    assert status == 0 and submitted == []
    assert output.count("queued by ann since noon (slurm job 7), which cannot be checked from here") == 3
    assert "--take-over" in output and "0 submitted" in output


def test_take_over_ends_what_cannot_be_checked(desk, folders, submitted):
    for folder in folders.values():
        hold(folder, 1e6, **QUEUED)
    status, output = desk("--take-over")
    assert status == 0 and len(submitted) == 3
    assert output.count("taken over; it was queued by ann since noon") == 3 and "3 submitted" in output


def test_take_over_leaves_what_lives(desk, folders, submitted):
    hold(folders["knn"], 60, **QUEUED, stale_after=900.0)
    acquire(folders["random_encoder"])
    before = {name: holder(folders[name]) for name in ("knn", "random_encoder")}
    _, output = desk("--take-over")
    assert {name: holder(folders[name]) for name in ("knn", "random_encoder")} == before
    assert [name.partition("/")[0] for name in submitted] == ["data"]
    assert output.count("already running: ") == 2 and re.search(r"with its last heartbeat [67]\d s ago", output)


def test_a_lease_that_cannot_be_read_is_a_reason_and_a_failure(desk, folders, submitted):
    (folders["synthetic"] / LEASE).touch()
    status, output = desk()
    assert status == 1 and "submission.json cannot be read, and is 0 s old: it is being written" in output
    assert "1 more wait for those" in output and "1 submitted" in output
    os.utime(folders["synthetic"] / LEASE, (time.time() - 11,) * 2)
    status, output = desk()
    assert status == 0 and "2 submitted, 1 were already in the queue" in output and len(submitted) == 3
