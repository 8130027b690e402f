"""Of several processes one hears a signal, in an evaluation or while pictures are rendered: all stop, and resume."""

import os
import signal

import pytest
import torch.distributed as dist

from caebench.execution.worker import run_jobs
from caebench.files.layout import WORLD
from caebench.specs.evaluations.linear_probe import linear_probe
from caebench.specs.inputs.random_encoder import random_encoder
from caebench.specs.job import make_job
from caebench.specs.progress import no_progress
from caebench.specs.site import Site
from caebench.store.state import attempts
from caebench.store.store import Store
from tests.helpers import FORKS, PATIENCE, free_port, longer, metrics, read, variation

BATCH = 3  # of an evaluation: of 20 images on three processes, the last has a batch less than the others


def run_and_signal(folder, store, owner, number, environment):
    """A process of its own, which is sent a signal with one of its evaluation's batches, or pictures, if it is told."""
    os.environ.update(environment)
    import caebench.tasks.finetune as finetuning
    import caebench.tasks.knn as neighbours
    import caebench.tasks.probes as probes
    from caebench.training import stopping, trainer

    for module in (neighbours, probes):
        module.EVALUATION_BATCH = BATCH
    calls = []

    def count(*_):
        calls.append(None)
        if len(calls) == number:
            os.kill(os.getpid(), signal.SIGUSR2)

    if owner == "pretrain":  # with every step; one takes so long that each is asked after
        stopping.HEARD_WITHIN = 0.0
        call_before(trainer.Trainer, "step", count, lambda _: True)
    evaluated = {"finetune": (finetuning.Classifier, "forward"), "knn": (probes.Frozen, "__call__")}
    renders = owner not in (*evaluated, "pretrain")
    if owner in evaluated:
        call_before(*evaluated[owner], count)
    (outcome,) = run_jobs({folder: count if renders else no_progress}, store, Site(device="cpu")).values()
    dist.destroy_process_group()
    assert number is None or len(calls) <= number + (10 if renders else 1)
    os._exit({"done": 0, "stopped": 3}.get(outcome, 1))


def evaluates(module):
    return not getattr(module, "training", False)


def call_before(place, name, count, counts=evaluates):
    """Call it with every batch of an evaluation."""
    original = getattr(place, name)

    def evaluate(one, *arguments, **options):
        if counts(one):
            count()
        return original(one, *arguments, **options)

    setattr(place, name, evaluate)


def run_group(bench, job, num_processes, heard_by=None, number=None):
    """Exit statuses of a group, of which one process hears a signal: 0 done, 3 stopped."""
    group = {"WORLD_SIZE": str(num_processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    processes = []
    for rank in range(num_processes):
        place = {**group, "RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1"}
        heard = number if rank == heard_by else None
        arguments = (bench.folder(job), bench.store, job.kind, heard, place)
        processes.append(FORKS.Process(target=run_and_signal, args=arguments))
        processes[-1].start()
    for process in processes:
        process.join(PATIENCE)
    return [process.exitcode for process in processes]


def compare(bench, job, num_processes, stops, stopped=lambda folder: None):
    """Run it uninterrupted, and then with stops, each of which is told of; returns both folders."""
    assert run_group(bench, job, num_processes) == [0] * num_processes
    kept = bench.set_aside(job, "uninterrupted")
    for heard_by, number in stops:
        assert run_group(bench, job, num_processes, heard_by, number) == [3] * num_processes
        assert attempts(bench.folder(job))[-1]["stopped_by"] == "SIGUSR2"
        stopped(bench.folder(job))
    assert run_group(bench, job, num_processes) == [0] * num_processes
    ours, theirs = read(bench.folder(job) / "result.json"), read(kept / "result.json")
    assert (ours["metrics"], ours["intervals"]) == (theirs["metrics"], theirs["intervals"])
    return bench.folder(job), kept


def test_two_processes_stop_together_in_an_evaluation(quickstart, bench):
    found = quickstart.job("finetune", "imagenet1k-cae-pixels")
    job = variation(bench, found, longer(found, epochs=4))
    folder, kept = compare(bench, job, 2, [(1, 2), (0, 7)])  # in the first epoch, in the second, which is logged
    assert metrics(folder) == metrics(kept)


def test_two_processes_stop_together_between_logged_steps(quickstart, bench):
    found = quickstart.job("pretrain", "cae-dvae")
    job = variation(bench, found, longer(found, epochs=5))
    stopped = []
    folder, kept = compare(bench, job, 2, [(1, 3), (0, 14)], lambda folder: stopped.extend(checkpoints(folder)))
    assert stopped == [3, 17]
    assert metrics(folder) == metrics(kept)


def checkpoints(folder):
    """The step of the newest one."""
    return [max(int(path.stem) for path in (folder / "checkpoints").glob("*.pt"))]


@pytest.mark.parametrize(
    "number", [3, pytest.param(7, marks=pytest.mark.slow)]
)  # of training images; of validation images, where the last has one less
def test_three_processes_stop_together_among_neighbours(quickstart, bench, number):
    found = quickstart.job("knn", "cae-pixels")
    job = variation(bench, found, found.config.replace(k=(1, 3)))
    compare(bench, job, 3, [(0, number)])


@pytest.mark.parametrize("heard_by", [0, 1])  # the one that renders, the one that waits for it
def test_two_processes_stop_together_while_one_renders(bench, tiny, heard_by):
    world = make_job(tiny.apply(linear_probe()), encoder=make_job(tiny.apply(random_encoder()))).inputs["data"].config
    job = make_job(world.replace(world=world.world.replace(seed=1)))
    Store(bench.store).prepare(job)
    folder, kept = compare(bench, job, 2, [(heard_by, 13)])
    assert tree(folder / WORLD) == tree(kept / WORLD)


def tree(root):
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}
