"""A stop is heard inside evaluations, k-NN and rendering: the job stops within two batches, and resumed equals
uninterrupted."""

import json
import os
import signal

import pytest
import torch

from caebench.models.tokenizer import DiscreteVAE
from caebench.specs.evaluations.attentive_probe import attentive_probe
from caebench.specs.evaluations.finetune import finetune
from caebench.specs.evaluations.knn import knn
from caebench.specs.evaluations.linear_probe import linear_probe
from caebench.specs.evaluations.linear_probe_grid import linear_probe_grid
from caebench.specs.inputs.dataset import SyntheticData
from caebench.specs.job import make_job
from caebench.specs.methods.cae import cae
from caebench.specs.site import Site
from caebench.stages import run_stage, run_stages
from caebench.tasks import dvae, linear_grid, probes
from caebench.tasks import knn as neighbours
from caebench.tasks.finetune import Classifier
from caebench.tasks.linear_grid import GridStep
from caebench.tasks.probes import Frozen, ProbeStep
from caebench.training.distributed import join_group
from caebench.training.run import Run
from caebench.training.signals import SIGNALS, Interrupted
from caebench.training.trainer import Trainer

TIMING = {"images_per_second"}
BATCH = 4  # of an evaluation: five of them
SITE = Site(device="cpu")


class Caller:
    """Counts the batches of evaluations, and sends this process a signal with one of them."""

    def __init__(self, monkeypatch, owner, name):
        self.original, self.number, self.calls = getattr(owner, name), None, 0
        caller = self

        def evaluate(self, *arguments, **options):
            if not getattr(self, "training", False):
                caller.heard()
            return caller.original(self, *arguments, **options)

        monkeypatch.setattr(owner, name, evaluate)

    def heard(self):
        self.calls += 1
        if self.calls == self.number:
            os.kill(os.getpid(), signal.SIGTERM)

    def stop_at(self, number):
        self.number, self.calls = number, 0


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    for module in (dvae, linear_grid, neighbours, probes):
        monkeypatch.setattr(module, "EVALUATION_BATCH", BATCH)


@pytest.fixture
def states(monkeypatch):
    """What every training leaves: its module's and its optimizer's state at the end."""
    found, finish = [], Trainer.finish

    def remember(self):
        numbers = finish(self)
        found.append((self.module.state_dict(), self.optimizer.state_dict()["state"]))
        return numbers

    monkeypatch.setattr(Trainer, "finish", remember)
    return found


@pytest.fixture
def begin(input_folders, tmp_path):
    def begin(name, site=SITE):
        (tmp_path / name).mkdir(exist_ok=True)
        return Run(tmp_path / name, input_folders, site, join_group("cpu"))

    return begin


def lines(run):
    text = (run.folder / "metrics.jsonl").read_text().splitlines()
    return [{name: value for name, value in json.loads(line).items() if name not in TIMING} for line in text]


def stop(config, run, caller, number):
    """Run until a signal in one of the evaluation's batches; it must not go far beyond that."""
    handlers = [signal.getsignal(known) for known in SIGNALS]
    caller.stop_at(number)
    with pytest.raises(Interrupted) as stopped:
        run_stage(config, run)
    assert number <= caller.calls <= number + 1
    assert stopped.value.signal == "SIGTERM"
    assert [signal.getsignal(known) for known in SIGNALS] == handlers
    return stopped.value


def small(config, global_batch, epochs):
    changes = {"global_batch": global_batch, "epochs": epochs, "warmup_epochs": 1}
    return config.replace(optimization=config.optimization.replace(**changes))


# Of a fine-tuning of 4 epochs of 5 steps: in the first evaluation; in the second, which a line of metrics follows; in
# the last, and there again. A probe keeps its features: its later evaluations are of these.
EVALUATED = {
    "finetune": (finetune, (8, 4), (Classifier, "forward"), [(3, 5), (8, 10), (12, 20), (2, 20)]),
    "linear": (linear_probe, (16, 4), (ProbeStep, "logits"), [(3, 2), (17, 8), (4, 8)]),
    "attentive": (attentive_probe, (8, 3), (ProbeStep, "logits"), [(8, 10), (4, 10)]),
    "grid": (linear_probe_grid, (16, 3), (GridStep, "logits"), [(1, 6), (5, 6)]),
}


@pytest.mark.parametrize("kind", EVALUATED)
def test_an_evaluation_that_was_stopped_is_repeated(kind, tiny, begin, states, monkeypatch):
    recipe, (batch, epochs), evaluated, stops = EVALUATED[kind]
    config = small(tiny.apply(recipe()), batch, epochs)
    caller = Caller(monkeypatch, *evaluated)
    whole, run = begin("uninterrupted"), begin("resumed")
    expected = run_stage(config, whole)
    for number, step in stops:
        stopped = stop(config, run, caller, number)
        assert f"at step {step} of " in str(stopped) and str(stopped).endswith("saved")
        assert max(path.name for path in run.folder.glob("checkpoints/*.pt")) == f"{step:09d}.pt"
        run = begin("resumed")
    caller.stop_at(None)
    assert run_stage(config, run) == expected
    assert run.intervals == whole.intervals
    assert lines(run) == lines(whole)
    assert_equal_states(states[-1], states[0])


def assert_equal_states(ours, theirs):
    for one, other in zip(ours, theirs, strict=True):  # the module's, the optimizer's
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_a_tokenizer_s_measurement_is_repeated(tiny, begin, states, monkeypatch):
    config = small(make_job(tiny.apply(cae())).inputs["tokenizer"].config, 16, 2)
    caller = Caller(monkeypatch, DiscreteVAE, "reconstruct")
    expected = run_stage(config, begin("uninterrupted"))
    stop(config, begin("resumed"), caller, 3)
    caller.stop_at(None)
    assert run_stage(config, begin("resumed")) == expected
    assert lines(begin("resumed")) == lines(begin("uninterrupted"))
    assert_equal_states(states[-1], states[0])


@pytest.mark.parametrize("number", [4, 12])  # among the training images, among the validation images
def test_neighbours_are_stopped_and_start_over(number, tiny, begin, monkeypatch):
    config = tiny.apply(knn())
    caller = Caller(monkeypatch, Frozen, "__call__")
    whole, run = begin("uninterrupted"), begin("resumed")
    expected = run_stage(config, whole)
    stop(config, run, caller, number)
    caller.stop_at(None)
    assert run_stage(config, begin("resumed")) == expected


def test_a_stop_ends_all_jobs_of_a_pass(tiny, begin, monkeypatch):
    """One probe hears it in its evaluation; the other is saved where it is, which is no step that it logs."""
    configs = [
        small(tiny.apply(linear_probe()), 16, 4),
        small(tiny.apply(attentive_probe()), 8, 4),
    ]
    names = ("linear", "attentive")
    expected = [run_stage(config, begin(f"alone-{name}")) for config, name in zip(configs, names, strict=True)]
    caller = Caller(monkeypatch, ProbeStep, "logits")
    caller.stop_at(2)
    stopped = run_together(configs, [begin(name) for name in names])
    assert caller.calls <= 3
    assert [found.signal for found in stopped] == ["SIGTERM"] * 2
    saved = [[path.name for path in begin(name).folder.glob("checkpoints/*.pt")] for name in names]
    assert saved == [["000000002.pt"], ["000000004.pt"]]
    caller.stop_at(None)
    assert run_together(configs, [begin(name) for name in names]) == expected
    for name in names:
        for ours, theirs in zip(lines(begin(name)), lines(begin(f"alone-{name}")), strict=True):
            assert ours == pytest.approx(theirs, rel=1e-5, abs=1e-6)


def test_a_pass_is_stopped_between_its_lines(tiny, begin, monkeypatch):
    """In pieces of two images: a stop is heard after the piece, long before the first line."""
    config = small(tiny.apply(attentive_probe()), 8, 3)
    expected = run_stage(config, begin("uninterrupted"))
    caller = Caller(monkeypatch, Frozen, "read")
    caller.stop_at(3)
    site = SITE.replace(per_device_batch=2)
    with pytest.raises(Interrupted, match="at step 0 of 15"):
        run_stage(config, begin("resumed", site))
    assert caller.calls == 3
    caller.stop_at(None)
    assert run_stage(config, begin("resumed", site)) == expected


def run_together(configs, runs):
    found = {}
    run_stages(list(zip(configs, runs, strict=True)), found.__setitem__)
    return [found[number] for number in range(len(runs))]


def test_rendering_is_stopped_and_ends_in_the_same_files(tiny, tmp_path):
    data = SyntheticData(kind="synthetic", name="imagenet1k", world=tiny.world)
    seen = []

    def progress(done, total, shown):
        seen.append(done)
        if len(seen) == 17:
            os.kill(os.getpid(), signal.SIGUSR2)

    def rendering(name, *progress):
        (tmp_path / name).mkdir(exist_ok=True)
        return run_stage(data, Run(tmp_path / name, {}, SITE, join_group("cpu"), *progress))

    expected = rendering("uninterrupted")
    with pytest.raises(Interrupted, match="SIGUSR2 while pictures were rendered"):
        rendering("resumed", progress)
    assert len(seen) == 20 and rendering("resumed") == expected
    assert tree(tmp_path / "resumed") == tree(tmp_path / "uninterrupted")


def tree(root):
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}
