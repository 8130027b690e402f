"""SIGKILL at random moments of every stage: what is run again to its end equals what was never disturbed, file by file.

`make test-faults` kills a hundred times and prints each seed; CAEBENCH_KILLS sets another. A kill counts if the job was
not over. Moments are drawn from the whole of an undisturbed run: its start, its checkpoints, its evaluations, its end.
"""

import hashlib
import shutil
import time

import pytest

from caebench.files.layout import ATTEMPTS, HEARTBEAT, LEASE, METRICS, PROVENANCE, RESULT
from caebench.files.result import damage, read_result
from caebench.specs.job import make_job
from caebench.specs.registry import EVALUATIONS
from caebench.store.store import Store
from tests.helpers import longer, metrics, planned

OF_TIME = {ATTEMPTS, PROVENANCE, METRICS, RESULT, "job.json"}  # files with times, or with the plan's estimate of time
TRAINED = ("pretrain", "finetune", "linear_probe", "attentive_probe")  # which are given more steps, and checkpoints
OF_THE_SUITE = {  # of the quickstart: a word in the job's name
    "synthetic": "imagenet1k",
    "dvae": "",
    "pretrain": "cae-pixels",
    "random_encoder": "",
    "linear_probe": "cae-pixels",
    "attentive_probe": "cae-pixels",
    "knn": "cae-pixels",
    "finetune": "imagenet1k-cae-pixels",
    "segmentation": "cae-pixels",
    "detection": "cae-pixels",
}
OTHERS = ("knn_segmentation", "linear_probe_grid", "lr_grid")
METHODS = ("beit", "mae", "deit", "moco_v3", "dino", "ibot")
STAGES = [*OF_THE_SUITE, *OTHERS, *METHODS]
KILLS = {"pretrain": 10, "finetune": 8, "detection": 7, "segmentation": 7}  # 100 in all
FEW = 5
QUICK = ("knn",)  # in `make test`


def test_a_hundred_kills_over_all_stages():
    assert sum(KILLS.get(stage, FEW) for stage in STAGES) >= 100


@pytest.fixture
def job_of(quickstart, bench, tiny):
    """The job of a stage, prepared and not run; its inputs are done."""

    def prepared(stage):
        pretrain = quickstart.job("pretrain", "cae-pixels")
        if stage in METHODS:
            job = make_job(longer(make_job(planned(tiny, stage).replace(data=pretrain.config.data))))
        elif stage in OTHERS:
            recipe = "ade20k_grid" if stage == "lr_grid" else stage
            job = make_job(tiny.apply(EVALUATIONS[recipe]()), encoder=pretrain)
        else:
            job = next(j for j in quickstart.plan.jobs if j.kind == stage and OF_THE_SUITE[stage] in j.name)
            inputs = {role: parent for role, parent in job.inputs.items() if role == "encoder"}
            job = make_job(longer(job), **inputs) if stage in TRAINED else job
        if bench.folder(job).is_symlink():
            bench.folder(job).unlink()
        store = Store(bench.store)
        for one in (*job.ancestors(), job):
            store.prepare(one)
        for parent in job.ancestors():
            if store.state(parent) != "done":
                assert bench.run("run", "job", parent.id).process.exitcode == 0
        return job

    return prepared


def left(folder):
    """What a job leaves: its numbers, its metrics, and every file that holds no time."""
    paths = [
        path for path in folder.rglob("*") if path.is_file() and path.name not in OF_TIME and LEASE not in path.name
    ]
    files = {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    result = read_result(folder)
    return (
        {name: result.get(name) for name in ("metrics", "intervals", "fingerprints", "files")},
        metrics(folder),
        files,
    )


def kill_once(bench, job, moment):
    """Run the job and SIGKILL it after so many seconds; whether it was not over yet."""
    folder = bench.folder(job)
    command = bench.start("run", "job", job.id, "--site", "eager")
    command.process.join(moment)
    command.process.kill()
    command.wait()
    assert damage(folder) is None, "no file that is half written has its name"
    return not (folder / RESULT).exists()


@pytest.mark.parametrize(
    "stage", [pytest.param(stage, marks=() if stage in QUICK else pytest.mark.slow) for stage in STAGES]
)
def test_killed_at_random_moments_and_finished_equals_undisturbed(bench, job_of, kills, injected, stage):
    job = job_of(stage)
    folder, started = bench.folder(job), time.monotonic()
    assert bench.run("run", "job", job.id, "--site", "eager").process.exitcode == 0
    lasted = time.monotonic() - started
    undisturbed = left(bench.set_aside(job, "undisturbed"))
    wanted, struck = KILLS.get(stage, FEW), 0
    while struck < wanted:
        if kill_once(bench, job, kills.uniform(0.02, 0.9) * lasted):
            struck += 1
        else:  # it was over: start anew, with the next kill
            shutil.rmtree(folder)
            Store(bench.store).prepare(job)
    command = bench.run("run", "job", job.id, "--site", "eager")
    assert command.process.exitcode == 0, command.output
    assert left(folder) == undisturbed
    assert not (folder / LEASE).exists() and not (folder / HEARTBEAT).exists()
    injected(struck)
    print(f"{stage}: {struck} kills of a run of {lasted:.1f} s")
