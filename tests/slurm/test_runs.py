"""A plan on a real SLURM: submitted once, and left to itself."""

import json
import os
import pickle
import shlex
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from caebench.execution import snapshot
from caebench.execution.provenance import hash_files
from caebench.execution.schedulers.base import SubmitOptions
from caebench.execution.schedulers.registry import query
from caebench.execution.schedulers.slurm.submit import Cluster
from caebench.planning.graph import Plans, make_plan
from caebench.specs.job import Job, make_job
from caebench.store.state import Statuses, attempts
from caebench.suites import loading as suites
from tests.slurm.bench import ROOT, Bench, pretraining, with_knn, with_probes
from tests.slurm.scenes import Scene, begins

EPOCHS = 20  # of pretrainings whose losses are compared


@pytest.fixture
def jobs(tiny) -> list[Job]:
    """Table 8 without segmentation: three pretrainings, two tokenizers, probes."""
    plan = make_plan(suites.load("ablation-targets"), tiny, [0])
    return [job for job in plan.jobs if job.kind != "segmentation" and "ade20k" not in job.name]


def submit_from_nothing(scene: Scene) -> tuple[Bench, list[Job], dict[str, str], Path]:
    """A commit, to a store whose path a shell would change."""
    bench = Bench(scene.folder / "a 'store' of $HOME `id` \"x\"")
    jobs = [job for job in with_probes(scene.tiny, pretraining(scene.tiny, EPOCHS)) if job.kind != "finetune"]
    code = snapshot.take(bench.store.root, dirty_is_fine=True)
    return bench, jobs, Cluster(bench.site, bench.store).submit(jobs, code), code


@begins(submit_from_nothing)
def test_an_encoder_and_its_probes_are_submitted_at_once_and_fill_themselves(started):
    bench, jobs, ids, _ = started
    assert set(ids) == {job.id for job in jobs} and len(jobs) == 5
    assert len(set(ids.values())) == 4, "two probes share a pass"
    assert bench.submit(jobs) == {}, "what is in the queue, or done, is not submitted again"
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    assert not [pid for pid in children if "sbatch" in Path(f"/proc/{pid}/cmdline").read_text()]
    assert set(bench.wait(jobs).values()) == {"done"}
    assert all(len(attempts(bench.store.folder(job))) == 1 for job in jobs)
    assert bench.submit(jobs) == {}


@begins(submit_from_nothing)
def test_a_job_runs_the_commit_it_was_submitted_with(started):
    bench, jobs, _, code = started
    assert set(bench.wait(jobs[:1]).values()) == {"done"}
    provenance = json.loads((bench.store.folder(jobs[0]) / "provenance.json").read_text())
    marker = json.loads((code / "snapshot.json").read_text())
    assert {name: provenance[name] for name in marker} == marker
    assert shlex.quote(str(code)) in next((bench.store.root / "slurm").glob("*_submission.sh")).read_text()


@pytest.mark.slow
def test_a_suite_is_submitted_at_once_and_fills_itself(bench, jobs):
    assert len(jobs) >= 12
    assert set(bench.submit(jobs)) == {job.id for job in jobs}
    assert set(bench.wait(jobs).values()) == {"done"}
    assert all(len(attempts(bench.store.folder(job))) == 1 for job in jobs)
    assert bench.submit(jobs) == {}


@pytest.mark.slow
def test_probes_of_an_encoder_are_one_job_and_go_on_after_a_warning(bench, tiny, tmp_path):
    """Their results equal those of probes that ran alone, undisturbed."""
    encoder = pretraining(tiny, epochs=2)
    before = [*encoder.ancestors(), encoder]
    probes = [
        make_job(job.config.replace(optimization=job.config.optimization.replace(epochs=400)), encoder=encoder)
        for job in with_probes(tiny, encoder)
        if job.kind in ("linear_probe", "attentive_probe")
    ]
    ids = bench.submit([*before, *probes])
    assert ids[probes[0].id] == ids[probes[1].id] and len(set(ids.values())) == len(before) + 1
    bench.wait_for_steps([*before, *probes], probes[0], 30)
    subprocess.run(["scancel", "--signal", "USR2", ids[probes[0].id]], check=True)
    assert set(bench.wait([*before, *probes]).values()) == {"done"}
    calm = Bench(tmp_path / "calm")
    apart = Cluster(calm.site, calm.store, SubmitOptions(separate=True)).submit([*before, *probes], None)
    assert len(set(apart.values())) == len(before) + 2
    assert set(calm.wait([*before, *probes]).values()) == {"done"}
    for probe in probes:
        assert [attempt["shared_by"] for attempt in bench.attempts(probe)] == [2, 2]
        assert bench.store.result(probe)["metrics"] == calm.store.result(probe)["metrics"]


@pytest.mark.slow
def test_warned_and_crashed_ends_like_undisturbed(bench, tiny, tmp_path, login):
    """Warned before its limit, over and over, and bereft of its node: the same weights, bit for bit."""
    encoder = pretraining(tiny, epochs=200)
    jobs = with_probes(tiny, encoder)
    calm = Bench(tmp_path / "calm")
    calm.submit(jobs)
    assert set(calm.wait(jobs).values()) == {"done"}

    slurm_id = bench.submit(jobs)[encoder.id]
    for number, blow in enumerate(("warn", "warn", "crash", "warn"), start=1):
        reached = number * 5
        bench.wait(jobs, lambda states, n=reached: states[encoder.id] == "running" and bench.num_lines(encoder) > n)
        if blow == "warn":
            subprocess.run(["scancel", "--signal", "USR2", slurm_id], check=True)
            bench.wait(jobs, lambda states: states[encoder.id] == "queued")
        else:
            node = bench.node(encoder)
            login.kill_node(node)
            bench.wait(jobs, lambda states: states[encoder.id] == "queued")
            login.restore_node(node)
    assert set(bench.wait(jobs).values()) == {"done"}
    tries = attempts(bench.store.folder(encoder))
    assert [t.get("stopped_by") for t in tries] == ["SIGUSR2", "SIGUSR2", None, "SIGUSR2", None]
    assert {t["scheduler_id"] for t in tries} == {slurm_id}
    ours, theirs = (load_file(b.store.folder(encoder) / "encoder.safetensors") for b in (bench, calm))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    for job in jobs[2:]:
        assert bench.store.result(job)["metrics"] == calm.store.result(job)["metrics"]


def submit_a_failure(scene: Scene) -> tuple[Bench, list[Job], Path]:
    """An encoder that cannot be written, its probe, and another encoder."""
    bench = scene.bench()
    chain, other = with_knn(scene.tiny, pretraining(scene.tiny, epochs=10)), pretraining(scene.tiny, epochs=11)
    obstacle = bench.store.prepare(chain[1]) / "encoder.safetensors"
    obstacle.mkdir()
    bench.submit([*chain, other])
    return bench, [*chain, other], obstacle


@pytest.mark.slow
@begins(submit_a_failure)
def test_a_failure_blocks_what_depends_on_it_and_heals(started):
    bench, jobs, obstacle = started
    _, encoder, probe, _ = jobs
    assert list(bench.wait(jobs).values()) == ["done", "failed", "blocked", "done"]
    assert encoder.name in bench.explain(jobs)[probe.id][1]
    obstacle.rmdir()
    assert set(bench.submit(jobs)) == {encoder.id, probe.id}
    assert set(bench.wait(jobs).values()) == {"done"}


@pytest.mark.slow
def test_a_failure_in_a_suite_blocks_its_dependents_and_heals(bench, jobs):
    (tokenizer,) = [job for job in jobs if job.kind == "dvae" and "broad" in job.name]
    dependents = {job.id for job in jobs if tokenizer.id in {ancestor.id for ancestor in job.ancestors()}}
    obstacle = bench.store.prepare(tokenizer) / "dvae.pt"
    obstacle.mkdir()  # the tokenizer cannot be written
    bench.submit(jobs)
    states = bench.wait(jobs)
    assert states[tokenizer.id] == "failed"
    ends = {"failed": 1, "blocked": len(dependents), "done": len(jobs) - 1 - len(dependents)}
    assert Counter(states.values()) == ends
    folder = next(bench.store.folder(job) for job in jobs if job.kind == "pretrain" and job.id in dependents)
    assert tokenizer.name in Statuses(bench.store, query([folder])).of(folder)[1]
    obstacle.rmdir()
    assert set(bench.submit(jobs)) == {tokenizer.id, *dependents}
    assert set(bench.wait(jobs).values()) == {"done"}


@pytest.mark.slow
def test_scancel_stands_and_the_next_run_goes_on(login, bench, tiny):
    encoder = pretraining(tiny, epochs=200)
    jobs = [*encoder.ancestors(), encoder]
    slurm_id = bench.submit(jobs)[encoder.id]
    bench.wait(jobs, lambda states: states[encoder.id] == "running" and bench.num_lines(encoder) > 5)
    subprocess.run(["scancel", slurm_id], check=True)
    assert bench.wait(jobs)[encoder.id] in ("cancelled", "lost")
    time.sleep(login.settings.requeue_wait + 4)
    assert bench.states(jobs)[encoder.id] in ("cancelled", "lost"), "not requeued"
    again = bench.submit(jobs)
    assert set(again) == {encoder.id} and again[encoder.id] != slurm_id
    assert bench.wait(jobs)[encoder.id] == "done"
    assert len(attempts(bench.store.folder(encoder))) == 2


def submit_twice_at_once(scene: Scene) -> tuple[Bench, list[Job], list[int]]:
    """Two processes are given the same jobs; how many each has submitted."""
    bench = Bench(scene.folder / "store")
    jobs = [*with_knn(scene.tiny, pretraining(scene.tiny, epochs=12)), pretraining(scene.tiny, epochs=13)]
    code = (
        "import pickle, sys; from caebench.execution.schedulers.slurm.submit import Cluster;"
        "site, store, jobs = pickle.load(open(sys.argv[1], 'rb')); print(len(Cluster(site, store).submit(jobs, None)))"
    )
    plan = scene.folder / "plan.pkl"
    plan.write_bytes(pickle.dumps((bench.site, bench.store, jobs)))
    command = [sys.executable, "-c", code, str(plan)]
    both = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    return bench, jobs, [int(process.communicate()[0]) for process in both]


@pytest.mark.slow
@begins(submit_twice_at_once)
def test_two_submitters_at_once_train_each_job_once(started):
    bench, jobs, numbers = started
    assert sum(numbers) >= len(jobs) - 2, numbers
    bench.wait(jobs)
    bench.submit(jobs)  # what one submitter saw as the other's, and could not tie its own to
    assert set(bench.wait(jobs).values()) == {"done"}
    assert all(len(attempts(bench.store.folder(job))) == 1 for job in jobs)


@pytest.mark.slow
def test_a_lost_result_a_truncated_checkpoint_and_a_stale_lease_heal(bench, tiny):
    encoder = pretraining(tiny, epochs=600)
    jobs, checkpoints = with_probes(tiny, encoder), bench.store.folder(encoder) / "checkpoints"
    slurm_id = bench.submit(jobs)[encoder.id]
    bench.wait(jobs, lambda _: len(list(checkpoints.glob("*.pt"))) == 2)
    subprocess.run(["scancel", slurm_id], check=True)
    bench.wait(jobs)
    newest = max(checkpoints.iterdir(), key=lambda path: path.stat().st_mtime)
    newest.write_bytes(newest.read_bytes()[:100])
    lease = {"purpose": "submit", "host": os.uname().nodename, "pid": 2**22 - 1, "started": "1", "scheduler_id": None}
    (bench.store.folder(encoder) / "submission.json").write_text(json.dumps(lease))
    bench.submit(jobs)
    assert set(bench.wait(jobs).values()) == {"done"}
    probe = next(job for job in jobs if job.kind == "linear_probe")
    before = bench.store.result(probe)["metrics"]
    shutil.rmtree(bench.store.folder(probe))
    assert set(bench.submit(jobs)) == {probe.id}
    bench.wait(jobs)
    assert bench.store.result(probe)["metrics"] == before


def submit_to_one_and_to_four(scene: Scene) -> tuple[list[Bench], Job]:
    """One pretraining in one process, and in four on two nodes."""
    encoder, benches = pretraining(scene.tiny, EPOCHS), []
    for name, nodes, tasks in (("one", 1, 1), ("four", 2, 2)):
        benches.append(scene.bench(name, stages={"pretrain": {"nodes": nodes, "tasks_per_node": tasks}}))
        benches[-1].submit([*encoder.ancestors(), encoder])
    return benches, encoder


@pytest.mark.slow
@begins(submit_to_one_and_to_four)
def test_two_nodes_with_two_processes_each_give_the_same_losses(started):
    benches, encoder = started
    losses = []
    for bench in benches:
        assert bench.wait([encoder]) == {encoder.id: "done"}, bench.logs()
        losses.append([line["loss"] for line in bench.metrics(encoder) if "loss" in line])
    assert losses[0] and losses[1] == pytest.approx(losses[0], abs=1e-5)


@pytest.mark.parametrize(
    ("suite", "seeds"),
    [("classification-transfer", 8), pytest.param("all", 3, marks=pytest.mark.slow)],
)
def test_hundreds_of_jobs_are_submitted_and_seen_with_few_commands(commands, tiny, tmp_path, suite, seeds):
    bench = Bench(tmp_path / "store", partition="closed")
    plans = Plans(suite, tuple(make_plan(one, tiny, list(range(seeds))) for one in suites.load_all(suite)))
    jobs = plans.jobs
    assert len(jobs) > 100
    ids = bench.submit(jobs)
    arrays = {slurm_id.partition("_")[0] for slurm_id in ids.values()}
    assert commands() == {"sbatch": len(arrays), "squeue": 1} and len(arrays) < len(jobs) / 2
    states = bench.states(jobs)
    assert commands() == {"squeue": 1}
    subprocess.run(["scancel", *arrays], check=True)
    assert len(ids) == len(jobs) and set(states.values()) == {"queued"}


def submit_and_delete_the_code(scene: Scene) -> tuple[Bench, list[Job]]:
    """The snapshot has a changed file, and is gone when the job starts."""
    bench = Bench(scene.folder / "store", setup=[f"rm -r {scene.folder}/store/snapshots/*"])
    jobs = pretraining(scene.tiny, epochs=1).ancestors()
    code = snapshot.take(bench.store.root, dirty_is_fine=True)
    marker = {**json.loads((code / "snapshot.json").read_text()), "commit": "0" * 40}
    (code / "caebench" / "added.py").write_text("")
    marker["sha256"] = hash_files(code / "caebench")
    (code / "snapshot.json").write_text(json.dumps(marker))
    Cluster(bench.site, bench.store).submit(jobs[:1], code)
    return bench, jobs[:1]


@begins(submit_and_delete_the_code)
def test_a_job_whose_snapshot_is_gone_runs_no_other_code(started):
    bench, jobs = started
    assert set(bench.wait(jobs).values()) == {"failed"}
    _, reason = bench.explain(jobs)[jobs[0].id]
    assert reason.startswith("submitted with commit 000000000000") and f"but {ROOT} has commit " in reason


def submit_to_an_environment(scene: Scene) -> tuple[Bench, list[Job]]:
    bench, jobs = Bench(scene.folder / "store", venv=sys.prefix), pretraining(scene.tiny, epochs=1).ancestors()
    bench.submit(jobs)
    return bench, jobs


@pytest.mark.slow
@begins(submit_to_an_environment)
def test_a_job_runs_in_an_environment(started):
    bench, jobs = started
    assert set(bench.wait(jobs).values()) == {"done"}, bench.logs()
    assert f"source {sys.prefix}/bin/activate" in next((bench.store.root / "slurm").glob("*_submission.sh")).read_text()
    assert bench.read(jobs[0], "provenance.json")["python"].startswith("3.")


def submit_to_a_container(scene: Scene) -> tuple[Bench, list[Job], Path]:
    """A stand-in for Apptainer, which notes how it was called and runs the command."""
    called = scene.folder / "called"
    stand_in = scene.folder / "bin" / "apptainer"
    stand_in.parent.mkdir()
    stand_in.write_text(f'#!/bin/sh\necho "$@" >> {called}\nshift 5\nshift\nexec {sys.executable} "$@"\n')
    stand_in.chmod(0o755)
    scene.environment.setenv("PATH", str(stand_in.parent), prepend=":")
    bench = Bench(scene.folder / "store", container="/images/torch.sif", binds=["/data"])
    jobs = pretraining(scene.tiny, epochs=1).ancestors()
    bench.submit(jobs)
    return bench, jobs, called


@pytest.mark.slow
@begins(submit_to_a_container)
def test_a_job_runs_in_a_container(started):
    bench, jobs, called = started
    assert set(bench.wait(jobs).values()) == {"done"}, bench.logs()
    assert bench.read(jobs[0], "provenance.json")["python"].startswith("3.")
    assert called.read_text().startswith(f"exec --nv --bind {bench.store.root},/data /images/torch.sif python")
