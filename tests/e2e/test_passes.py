"""Probes that share a pass of their encoder: through a run, killed and resumed, on two processes."""

import os
import shutil
import signal

import pytest
import torch.distributed as dist

from caebench.execution.local import run_plan
from caebench.execution.worker import run_jobs
from caebench.specs.progress import no_progress
from caebench.specs.site import Site
from caebench.store.lease import acquire
from caebench.store.state import attempts
from tests.helpers import FORKS, PATIENCE, free_port, last_step, longer, metrics, read, variation

SITE = Site(device="cpu")
EAGER = Site(device="cpu", checkpoint_minutes=1e-9)
KINDS = ("linear_probe", "attentive_probe")


def run_pass(folders, store, site, environment):
    """A process of its own."""
    os.environ.update(environment)
    run_jobs(dict.fromkeys(folders, no_progress), store, site)
    dist.destroy_process_group()


def start(folders, store, site=EAGER, **environment):
    process = FORKS.Process(target=run_pass, args=(folders, store, site, {"OMP_NUM_THREADS": "1", **environment}))
    process.start()
    return process


def finish(*processes):
    for process in processes:
        process.join(PATIENCE)
        assert process.exitcode == 0


@pytest.fixture
def jobs(quickstart, bench):
    """A linear and an attentive probe of one encoder, of 60 and of 24 steps."""
    batches = {"linear_probe": 8, "attentive_probe": 16}
    found = {kind: quickstart.job(kind, "imagenet1k-cae-dvae") for kind in KINDS}
    return [variation(bench, job, longer(job, global_batch=batches[kind])) for kind, job in found.items()]


@pytest.fixture
def alone(bench, jobs):
    """The jobs' folders as they are when each has run alone, kept elsewhere."""
    kept = {}
    for job in jobs:
        finish(start([bench.folder(job)], bench.store, SITE))
        kept[job.id] = bench.store / f"alone-{job.id}"
        bench.folder(job).rename(kept[job.id])
        bench.folder(job).mkdir()
        (bench.folder(job) / "job.json").write_bytes((kept[job.id] / "job.json").read_bytes())
    return kept


def assert_same(folder, kept, rel):
    ours, theirs = metrics(folder), metrics(kept)
    assert len(ours) == len(theirs) >= 2
    for one, other in zip(ours, theirs, strict=True):
        assert one == pytest.approx(other, rel=rel, abs=rel)
    assert read(folder / "result.json")["metrics"] == pytest.approx(read(kept / "result.json")["metrics"], rel=rel)


def test_probes_in_a_shared_pass_equal_separate_ones(quickstart, copied, log):
    probes = [job for job in quickstart.plan.jobs if job.kind in KINDS]
    assert len(probes) >= 4
    for job in probes:
        assert attempts(quickstart.store.folder(job))[-1]["shared_by"] == 2
        shutil.rmtree(copied.folder(job))
    outcomes = run_plan(quickstart.plan.jobs, copied, SITE, log.watcher, 1, separate=True)
    assert outcomes.count("done") == len(probes)
    for job in probes:
        assert attempts(copied.folder(job))[-1]["shared_by"] == 1
        assert copied.result(job)["metrics"] == quickstart.store.result(job)["metrics"]
        assert metrics(copied.folder(job)) == metrics(quickstart.store.folder(job))


def test_a_pass_killed_thrice_equals_probes_that_ran_alone(bench, jobs, alone, kills):
    folders = [bench.folder(job) for job in jobs]
    for step in (12, 25, 38):
        process = start(folders, bench.store)
        while process.is_alive() and (last_step(folders[0]) < step or kills.random() > 0.03):
            pass
        os.kill(process.pid, signal.SIGKILL)
        process.join(PATIENCE)
        assert process.exitcode == -signal.SIGKILL and not (folders[0] / "result.json").exists()
    finish(start(folders, bench.store))
    for job, folder in zip(jobs, folders, strict=True):
        assert_same(folder, alone[job.id], rel=0)


def test_a_pass_on_two_processes_equals_probes_that_ran_alone(bench, jobs, alone):
    folders = [bench.folder(job) for job in jobs]
    port = str(free_port())
    group = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    finish(*(start(folders, bench.store, RANK=str(rank), LOCAL_RANK=str(rank), **group) for rank in range(2)))
    for job, folder in zip(jobs, folders, strict=True):
        assert read(folder / "provenance.json")["processes"] == 2
        assert_same(folder, alone[job.id], rel=1e-5)


def test_what_another_process_holds_is_left_out(bench, jobs):
    folders = [bench.folder(job) for job in jobs]
    acquire(folders[0])
    finish(start(folders, bench.store))
    assert (folders[1] / "result.json").exists() and not (folders[0] / "result.json").exists()
