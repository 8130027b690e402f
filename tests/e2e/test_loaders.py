"""Loader processes in a terminal of its own: whatever signal reaches them, the job saves, stops and resumes to the bit.

A terminal's Ctrl-C goes to the training process and its loaders at once, a scheduler's signals to one or to all.
"""

import os
import pty
import signal
import threading
import time

import pytest
import torch
from safetensors.torch import load_file

from caebench.execution.local import Watcher, run_plan
from caebench.files.layout import ENCODER, epoch_file
from caebench.specs.inputs.code_cache import Codes
from caebench.specs.job import make_job
from caebench.specs.registry import EVALUATIONS
from caebench.specs.site import Site
from caebench.store.store import Store
from tests.helpers import FORKS, KEPT, PATIENCE, last_step, longer, metrics, read, variation

STEPS = 60
SITE = 'device = "cpu"\nnum_workers = 2\n'
SIGNALS = ("SIGINT", "SIGTERM", "SIGUSR2")
SLOW = pytest.mark.slow


@pytest.fixture
def terminal():
    """A pseudo-terminal: the name of its end for a session, and a function that types into it."""
    ours, theirs = pty.openpty()
    reader = threading.Thread(target=drain, args=(ours,), daemon=True)
    reader.start()
    yield os.ttyname(theirs), lambda keys: os.write(ours, keys)
    os.close(theirs)
    reader.join()
    os.close(ours)


def drain(descriptor):
    """Read what is printed, until nobody has the terminal open."""
    try:
        while os.read(descriptor, 4096):
            continue
    except OSError:  # Linux: the other end is closed
        return


@pytest.fixture(params=["pretrain", "segmentation", "detection"])
def job(request, quickstart, bench, tiny):
    """CAE with pixels, UperNet or Mask R-CNN: 60 steps, logged every ten."""
    pretraining = quickstart.job("pretrain", "cae-pixels")
    if request.param == "pretrain":
        return variation(bench, pretraining, longer(pretraining))
    config = tiny.apply(EVALUATIONS["ade20k" if request.param == "segmentation" else "coco"]())
    changed = config.optimization.replace(iterations=STEPS, warmup_iterations=5, lr=2e-3)
    new = make_job(config.replace(optimization=changed), encoder=pretraining)
    Store(bench.store).prepare(new)
    return new


def send(command, name, to, keyboard):
    """To the training process, to its whole group, or by Ctrl-C."""
    number = getattr(signal, name)
    if to == "process":
        os.kill(command.process.pid, number)
    elif name == "SIGINT":
        keyboard(b"\x03")
    else:
        os.killpg(command.process.pid, number)


def assert_equal_runs(folder, kept):
    ours, theirs = read(folder / "result.json"), read(kept / "result.json")
    assert (ours["metrics"], ours["intervals"]) == (theirs["metrics"], theirs["intervals"])
    assert metrics(folder) == metrics(kept) and last_step(kept) == STEPS
    ours, theirs = weights(folder), weights(kept)
    assert ours.keys() == theirs.keys()
    assert [key for key, value in theirs.items() if not torch.equal(value, ours[key])] == []


def weights(folder):
    """The encoder that a pretraining leaves, or the last checkpoint of a dense task."""
    if (folder / ENCODER).exists():
        return load_file(folder / ENCODER)
    return torch.load(folder / KEPT / f"{STEPS:09d}.pt", weights_only=True)["module"]


def stop_and_resume(bench, job, terminal, name, to, start_method):
    bench.write_site("loaders", SITE)
    folder, (tty, keyboard) = bench.folder(job), terminal
    given = ("run", "job", job.id, "--site")
    command = bench.run(*given, "local", keep_checkpoints=True)
    assert command.wait() == 0, command.output
    kept = bench.set_aside(job, "undisturbed")
    loaders = {"keep_checkpoints": True, "start_method": start_method}
    command = bench.start(*given, "loaders", terminal=tty, **loaders)
    assert command.wait_until(lambda: last_step(folder) >= 10), command.output
    send(command, name, to, keyboard)
    assert command.wait() == 1, command.output
    assert f"stopped by {name} at step" in command.output and f"of {STEPS}, saved" in command.output
    assert "DataLoader worker" not in command.output and not (folder / "failure.json").exists()
    assert len(list((folder / "checkpoints").glob("*.pt"))) == 1 and 10 <= last_step(folder) < STEPS
    command = bench.run(*given, "loaders", **loaders)
    assert command.wait() == 0, command.output
    assert_equal_runs(folder, kept)


@pytest.mark.parametrize("job", ["pretrain", pytest.param("segmentation", marks=pytest.mark.slow)], indirect=True)
def test_ctrl_c_saves_and_stops_a_job_with_loaders(bench, job, terminal):
    stop_and_resume(bench, job, terminal, "SIGINT", "group", "fork")


@SLOW
@pytest.mark.parametrize("start_method", ["fork", "spawn"])
@pytest.mark.parametrize("to", ["process", "group"])
@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.parametrize("job", ["pretrain", "segmentation", "detection"], indirect=True)
def test_every_signal_saves_and_stops_a_job_with_loaders(bench, job, terminal, name, to, start_method):
    stop_and_resume(bench, job, terminal, name, to, start_method)


def enter_run(jobs, root, tty):
    """A session on a terminal that runs a job in a worker process, which has loader processes."""
    os.login_tty(os.open(tty, os.O_RDWR))
    os.cpu_count = lambda: 1  # as many threads as the other runs here
    watcher = Watcher(*[lambda *_: None] * 4)
    outcomes = run_plan(jobs, Store(root), Site(device="cpu", num_workers=2), watcher, 1)
    os._exit({"stopped": 3}.get(outcomes.by_id[jobs[-1].id], 1))


@SLOW
@pytest.mark.parametrize("job", ["pretrain", "segmentation"], indirect=True)
def test_ctrl_c_stops_a_worker_process_with_loaders(bench, job, terminal):
    tty, keyboard = terminal
    folder = bench.folder(job)
    command = bench.run("run", "job", job.id, "--site", "local", keep_checkpoints=True)
    assert command.wait() == 0, command.output
    kept = bench.set_aside(job, "undisturbed")
    process = FORKS.Process(target=enter_run, args=([*job.ancestors(), job], bench.store, tty))
    process.start()
    end = time.monotonic() + PATIENCE
    while last_step(folder) < 10 and time.monotonic() < end:
        time.sleep(0.005)
    keyboard(b"\x03")
    process.join(PATIENCE)
    assert process.exitcode == 3 and not (folder / "failure.json").exists()
    assert len(list((folder / "checkpoints").glob("*.pt"))) == 1 and 10 <= last_step(folder) < STEPS
    command = bench.run("run", "job", job.id, "--site", "local", keep_checkpoints=True)
    assert command.wait() == 0, command.output
    assert_equal_runs(folder, kept)


KINDS = {
    "dvae": "",
    "pretrain": "cae-dvae",
    "linear_probe": "cae-pixels",
    "attentive_probe": "cae-pixels",
    "knn": "cae-pixels",
    "finetune": "imagenet1k-cae-pixels",
    "segmentation": "cae-pixels",
    "detection": "cae-pixels",
}


@SLOW
@pytest.mark.parametrize("start_method", ["fork", "spawn"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_stage_works_with_loaders(bench, quickstart, kind, start_method):
    """And gives the numbers that it gives without."""
    bench.write_site("loaders", SITE)
    job = next(job for job in quickstart.plan.jobs if job.kind == kind and KINDS[kind] in job.name)
    kept = bench.folder(job).resolve()
    bench.folder(job).unlink()
    Store(bench.store).prepare(job)
    command = bench.run("run", "job", job.id, "--site", "loaders", start_method=start_method)
    assert command.wait() == 0, command.output
    assert read(bench.folder(job) / "result.json")["metrics"] == read(kept / "result.json")["metrics"]
    assert metrics(bench.folder(job)) == metrics(kept)


@SLOW
@pytest.mark.parametrize("start_method", ["fork", "spawn"])
def test_code_caches_work_with_loaders(bench, quickstart, start_method):
    bench.write_site("loaders", SITE)
    config = quickstart.job("pretrain", "cae-dvae").config
    target = config.method.target
    view = {"view_size": 4 * target.stride, "crop_scale_min": 0.3, "color_jitter": 0.4}
    job = make_job(Codes(kind="codes", target=target, data=config.data, epochs=2, **view))
    Store(bench.store).prepare(job)
    made = []
    for site, method in (("local", None), ("loaders", start_method)):
        command = bench.run("run", "job", job.id, "--site", site, start_method=method)
        assert command.wait() == 0, command.output
        kept = bench.set_aside(job, site)
        made.append([epoch_file(kept, epoch).read_bytes() for epoch in range(2)])
    assert made[0] == made[1] and made[0][0] != made[0][1]
