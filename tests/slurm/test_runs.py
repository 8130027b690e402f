"""A plan on a real SLURM: submitted once, and left to itself."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from caebench import suites
from caebench.cli.site import check, init
from caebench.execution import snapshot
from caebench.execution.queue import see
from caebench.execution.slurm import Cluster
from caebench.plan.graph import Job, Plans, make_job, make_plan
from caebench.plan.standing import Queue, attempts, standing
from tests.slurm.bench import ROOT, Bench, pretraining, with_probes


@pytest.fixture
def jobs(tiny) -> list[Job]:
    """Table 8 without segmentation: three pretrainings, two tokenizers, probes."""
    plan = make_plan(suites.load("ablation-targets"), tiny, [0])
    return [job for job in plan.jobs if job.kind != "segmentation" and "ade20k" not in job.name]


def test_a_suite_is_submitted_at_once_and_fills_itself(bench, jobs):
    assert len(jobs) >= 12
    start = time.monotonic()
    ids = bench.submit(jobs)
    assert time.monotonic() - start < 10 and set(ids) == {job.id for job in jobs}
    assert bench.submit(jobs) == {}, "what is in the queue is not submitted again"
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    assert not [pid for pid in children if "sbatch" in Path(f"/proc/{pid}/cmdline").read_text()]
    assert set(bench.wait(jobs).values()) == {"done"}
    assert all(len(attempts(bench.store.folder(job))) == 1 for job in jobs)
    assert bench.submit(jobs) == {}


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
    apart = Cluster(calm.site, calm.store, separate=True).submit([*before, *probes], None)
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
            node = (see([bench.store.folder(encoder)]) or Queue()).queued[slurm_id].nodes
            login.kill_node(node)
            bench.wait(jobs, lambda states: states[encoder.id] == "queued")
            login.restore_node(node)
    assert set(bench.wait(jobs).values()) == {"done"}
    tries = attempts(bench.store.folder(encoder))
    assert [t.get("stopped_by") for t in tries] == ["SIGUSR2", "SIGUSR2", None, "SIGUSR2", None]
    assert {t["slurm"] for t in tries} == {slurm_id}
    ours, theirs = (load_file(b.store.folder(encoder) / "encoder.safetensors") for b in (bench, calm))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    for job in jobs[2:]:
        assert bench.store.result(job)["metrics"] == calm.store.result(job)["metrics"]


def test_a_failure_blocks_what_rests_on_it_and_heals(bench, jobs):
    (tokenizer,) = [job for job in jobs if job.kind == "dvae" and "broad" in job.name]
    resting = {job.id for job in jobs if tokenizer.id in {ancestor.id for ancestor in job.ancestors()}}
    obstacle = bench.store.prepare(tokenizer) / "dvae.pt"
    obstacle.mkdir()  # the tokenizer cannot be written
    bench.submit(jobs)
    states = bench.wait(jobs)
    assert states[tokenizer.id] == "failed"
    assert Counter(states.values()) == {"failed": 1, "blocked": len(resting), "done": len(jobs) - 1 - len(resting)}
    folder = next(bench.store.folder(job) for job in jobs if job.kind == "pretrain" and job.id in resting)
    assert tokenizer.name in standing(folder, see([folder]) or Queue())[1]
    obstacle.rmdir()
    assert set(bench.submit(jobs)) == {tokenizer.id, *resting}
    assert set(bench.wait(jobs).values()) == {"done"}


@pytest.mark.slow
def test_scancel_stands_and_the_next_run_goes_on(bench, tiny):
    encoder = pretraining(tiny, epochs=200)
    jobs = [*encoder.ancestors(), encoder]
    slurm_id = bench.submit(jobs)[encoder.id]
    bench.wait(jobs, lambda states: states[encoder.id] == "running" and bench.num_lines(encoder) > 5)
    subprocess.run(["scancel", slurm_id], check=True)
    assert bench.wait(jobs)[encoder.id] in ("cancelled", "lost")
    time.sleep(10)  # longer than a requeue waits
    assert bench.stand(jobs)[encoder.id] in ("cancelled", "lost"), "not requeued"
    again = bench.submit(jobs)
    assert set(again) == {encoder.id} and again[encoder.id] != slurm_id
    assert bench.wait(jobs)[encoder.id] == "done"
    assert len(attempts(bench.store.folder(encoder))) == 2


def test_two_submitters_at_once_train_each_job_once(bench, jobs, tmp_path):
    code = (
        "import pickle, sys; from caebench.execution.slurm import Cluster;"
        "site, store, jobs = pickle.load(open(sys.argv[1], 'rb')); print(len(Cluster(site, store).submit(jobs, None)))"
    )
    import pickle

    plan = tmp_path / "plan.pkl"
    plan.write_bytes(pickle.dumps((bench.site, bench.store, jobs)))
    command = [sys.executable, "-c", code, str(plan)]
    both = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    numbers = [int(process.communicate()[0]) for process in both]
    assert sum(numbers) >= len(jobs) - 2, numbers
    bench.wait(jobs)
    bench.submit(jobs)  # what one submitter saw as the other's, and could not tie its own to
    assert set(bench.wait(jobs).values()) == {"done"}
    assert all(len(attempts(bench.store.folder(job))) == 1 for job in jobs)


@pytest.mark.slow
def test_a_lost_result_a_truncated_checkpoint_and_a_dead_lease_heal(bench, tiny):
    encoder = pretraining(tiny, epochs=600)
    jobs, checkpoints = with_probes(tiny, encoder), bench.store.folder(encoder) / "checkpoints"
    slurm_id = bench.submit(jobs)[encoder.id]
    bench.wait(jobs, lambda _: len(list(checkpoints.glob("*.pt"))) == 2)
    subprocess.run(["scancel", slurm_id], check=True)
    bench.wait(jobs)
    newest = max(checkpoints.iterdir(), key=lambda path: path.stat().st_mtime)
    newest.write_bytes(newest.read_bytes()[:100])
    lease = {"purpose": "submit", "host": os.uname().nodename, "pid": 2**22 - 1, "started": "1", "slurm": None}
    (bench.store.folder(encoder) / "submission.json").write_text(json.dumps(lease))
    bench.submit(jobs)
    assert set(bench.wait(jobs).values()) == {"done"}
    probe = next(job for job in jobs if job.kind == "linear_probe")
    before = bench.store.result(probe)["metrics"]
    shutil.rmtree(bench.store.folder(probe))
    assert set(bench.submit(jobs)) == {probe.id}
    bench.wait(jobs)
    assert bench.store.result(probe)["metrics"] == before


def test_two_nodes_with_two_processes_each_give_the_same_losses(login, tiny, tmp_path):
    encoder = pretraining(tiny, epochs=20)
    jobs = [*encoder.ancestors(), encoder]
    losses = []
    for name, nodes, tasks in (("one", 1, 1), ("four", 2, 2)):
        stages = {"pretrain": {"nodes": nodes, "tasks_per_node": tasks}}
        bench = Bench(tmp_path / name, stages=stages)
        bench.submit(jobs)
        assert set(bench.wait(jobs).values()) == {"done"}, bench.logs()
        lines = (bench.store.folder(encoder) / "metrics.jsonl").read_text().splitlines()
        losses.append([json.loads(line)["loss"] for line in lines if "loss" in line])
    assert losses[0] and losses[1] == pytest.approx(losses[0], abs=1e-5)


def test_hundreds_of_jobs_are_submitted_and_seen_in_seconds(login, tiny, tmp_path):
    bench = Bench(tmp_path / "store", setup=("sleep 600",))
    jobs = Plans("all", tuple(make_plan(table, tiny, [0, 1, 2]) for table in suites.load_all("all"))).jobs
    assert len(jobs) > 500
    start = time.monotonic()
    ids = bench.submit(jobs)
    submitted = time.monotonic() - start
    start = time.monotonic()
    states = bench.stand(jobs)
    seen = time.monotonic() - start
    subprocess.run(["scancel", *{slurm_id.split("_")[0] for slurm_id in ids.values()}], check=True)
    assert len(ids) == len(jobs) and set(states.values()) <= {"queued", "running"}
    assert submitted < 60 and seen < 2, (submitted, seen)


def test_a_job_runs_the_commit_it_was_submitted_with(login, tiny, tmp_path):
    bench = Bench(tmp_path / "store")
    jobs = make_job(pretraining(tiny, epochs=1).config).ancestors()
    code = snapshot.take(bench.store.root, dirty_is_fine=True)
    Cluster(bench.site, bench.store).submit(jobs, code)
    assert set(bench.wait(jobs).values()) == {"done"}
    provenance = json.loads((bench.store.folder(jobs[0]) / "provenance.json").read_text())
    marker = json.loads((code / "snapshot.json").read_text())
    assert {name: provenance[name] for name in marker} == marker
    assert str(code) in next((bench.store.root / "slurm").glob("*_submission.sh")).read_text()


def test_a_site_is_described_and_looked_at_from_inside(login, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    init("mine", tmp_path / "store")
    path = tmp_path / ".config" / "caebench" / "sites" / "mine.toml"
    text = path.read_text()
    assert 'partition = "main"' in text and "gpus_per_node = 2" in text
    with pytest.raises(ValueError, match="is there already"):
        init("mine", tmp_path / "store")
    path.write_text(f'device = "cpu"\nshared_store = true\n{text}'.replace("gpus_per_node = 2", "gpus_per_node = 0"))
    check("mine", json=True)
    (found,) = json.loads(capsys.readouterr().out.partition("\n{")[2].join(["{", ""])).values()
    assert found["hear each other"] and found["store is shared"] and found["processes"] == 1


@pytest.mark.parametrize("kind", ["venv", "container"])
def test_a_job_runs_in_an_environment_or_a_container(login, tiny, tmp_path, monkeypatch, kind):
    """The container is a stand-in for Apptainer, which notes how it was called and runs the command."""
    called = tmp_path / "called"
    stand_in = tmp_path / "bin" / "apptainer"
    stand_in.parent.mkdir()
    stand_in.write_text(f'#!/bin/sh\necho "$@" >> {called}\nshift 5\nshift\nexec {sys.executable} "$@"\n')
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", str(stand_in.parent), prepend=":")
    given = {"venv": sys.prefix} if kind == "venv" else {"container": "/images/torch.sif", "binds": ["/data"]}
    bench = Bench(tmp_path / "store", **given)
    jobs = make_job(pretraining(tiny, epochs=1).config).ancestors()
    bench.submit(jobs)
    assert set(bench.wait(jobs).values()) == {"done"}, bench.logs()
    provenance = json.loads((bench.store.folder(jobs[0]) / "provenance.json").read_text())
    assert provenance["python"].startswith("3.")
    if kind == "container":
        assert called.read_text().startswith(f"exec --nv --bind {tmp_path / 'store'},/data /images/torch.sif python")
