"""Probes behind one pass of their encoder: each as alone, whatever becomes of the others."""

import json

import pytest
import torch

from caebench.models.vit import Encoder
from caebench.specs.evaluations.attentive_probe import attentive_probe
from caebench.specs.evaluations.linear_probe import linear_probe
from caebench.specs.evaluations.linear_probe_grid import linear_probe_grid
from caebench.specs.site import Site
from caebench.stages import run_stage, run_stages
from caebench.tasks import frozen_pass
from caebench.tasks.frozen_pass import check_same_error
from caebench.training.distributed import Group, join_group
from caebench.training.monitor import Monitor
from caebench.training.repeating import Diverged
from caebench.training.run import Run
from caebench.training.signals import Interrupted
from caebench.training.trainer import fit

SITE = Site(device="cpu")
NAMES = ("linear", "attentive", "grid")
SPEED = "images_per_second"


@pytest.fixture(scope="module")
def configs(tiny):
    """Batches of 8, 16 and 8 out of 40 images, so that the linear probe's epoch ends before the others'."""
    made = (linear_probe(), attentive_probe(), linear_probe_grid().replace(base_lrs=(0.1, 0.4), hold_out=0.2))
    small = [tiny.apply(config) for config in made]
    batches = {"linear": (16, 4), "attentive": (8, 3), "grid": (16, 4)}
    return {
        name: config.replace(
            optimization=config.optimization.replace(
                global_batch=batches[name][0], epochs=batches[name][1], warmup_epochs=1
            )
        )
        for name, config in zip(NAMES, small, strict=True)
    }


@pytest.fixture
def heads(monkeypatch):
    """The modules of all probes that are made, in order."""
    made = []

    def remember(make):
        def making(*arguments):
            made.append(make(*arguments))
            return made[-1]

        return making

    for kind, make in frozen_pass.MAKERS.items():
        monkeypatch.setitem(frozen_pass.MAKERS, kind, remember(make))
    return made


@pytest.fixture
def begin(input_folders, tmp_path):
    def begin(place, name, site=SITE):
        (tmp_path / place / name).mkdir(parents=True, exist_ok=True)
        return Run(tmp_path / place / name, input_folders, site, join_group("cpu"))

    return begin


def fit_alone(config, run):
    """By the plain loop, in batches that its loader holds whole."""
    return fit(frozen_pass.MAKERS[type(config)](config, run, None).training, run)


def run_together(configs, begin, names=NAMES, place="together", site=SITE):
    found = {}
    stages = [(configs[name], begin(place, name, site)) for name in names]
    run_stages(stages, lambda number, numbers: found.update({names[number]: numbers}))
    return found


def lines(run):
    text = (run.folder / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != SPEED} for line in text]


def test_each_probe_ends_as_it_would_alone(configs, begin, heads):
    alone = {name: fit_alone(configs[name], begin("alone", name)) for name in NAMES}
    together = run_together(configs, begin)
    assert together == alone
    assert {name: run_stage(configs[name], begin("single", name)) for name in NAMES} == alone
    assert len(heads) == 9
    for ours, theirs in zip(heads[3:6], heads[:3], strict=True):
        ours, theirs = ours.training.module.state_dict(), theirs.training.module.state_dict()
        assert ours.keys() == theirs.keys() and any(value.ndim == 2 for value in ours.values())
        for name in ours:
            torch.testing.assert_close(ours[name], theirs[name], rtol=1e-5, atol=1e-6)
    for name in NAMES:
        assert lines(begin("single", name)) == lines(begin("alone", name))
        for ours, theirs in zip(lines(begin("together", name)), lines(begin("alone", name)), strict=True):
            assert ours == pytest.approx(theirs, rel=1e-5, abs=1e-6)


def test_views_made_on_the_device_change_nothing(configs, begin):
    site = SITE.replace(resize="device")
    assert run_together(configs, begin, place="device", site=site) == run_together(configs, begin)
    assert run_stage(configs["linear"], begin("alone", "linear", site)) == run_stage(
        configs["linear"], begin("loader", "linear")
    )
    for name in NAMES:
        assert lines(begin("device", name)) == lines(begin("together", name))
    assert lines(begin("alone", "linear")) == lines(begin("loader", "linear"))


def test_an_image_is_encoded_once_an_epoch_for_all_heads(configs, begin, monkeypatch):
    seen = []
    run_encoder = Encoder.run
    monkeypatch.setattr(Encoder, "run", lambda self, images: seen.append(len(images)) or run_encoder(self, images))
    one_try = {**configs, "attentive": configs["attentive"].replace(crop="one_try")}
    run_together(one_try, begin, place="one_try")
    trained = 4 * 32 + 3 * 8  # the attentive probe takes what the others' last batch leaves
    evaluated = 20 + 3 * 20 + (8 + 20)  # kept class tokens; tokens kept too: they are few; the grid at its end
    assert sum(seen) == trained + evaluated - 2 * 20


def test_one_that_diverges_leaves_the_others(configs, begin):
    optimization = configs["attentive"].optimization.replace(base_lr=1e30)
    broken = {**configs, "attentive": configs["attentive"].replace(optimization=optimization)}
    together = run_together(broken, begin, place="broken")
    assert isinstance(together["attentive"], ArithmeticError)
    assert together["linear"] == run_stage(configs["linear"], begin("whole", "linear"))


def test_one_that_cannot_begin_leaves_the_others(configs, begin):
    broken = {**configs, "linear": configs["linear"].replace(image_size=50)}
    together = run_together(broken, begin, place="broken")
    assert isinstance(together["linear"], ValueError)
    assert together["grid"] == run_stage(configs["grid"], begin("whole", "grid"))


def test_probes_that_were_saved_at_different_steps_resume(configs, begin, monkeypatch):
    """Stopped where one of them logs next, the others at whatever step they are, and then beside one that had ended."""
    names = ("linear", "attentive")
    whole = {name: run_stage(configs[name], begin("whole", name)) for name in names}
    with monkeypatch.context() as stopping:
        stopping.setattr(Monitor, "decide", lambda self: ("SIGTERM", True))
        stopped = run_together(configs, begin, names, "resumed")
    assert isinstance(stopped["attentive"], Interrupted)
    saved = {name: sorted(p.name for p in begin("resumed", name).folder.glob("checkpoints/*.pt")) for name in names}
    assert saved["attentive"] == ["000000010.pt"] and saved["linear"] != saved["attentive"]
    left = {name: found for name, found in stopped.items() if not isinstance(found, dict)}
    resumed = run_together(configs, begin, tuple(left), "resumed")
    assert {**stopped, **resumed} == whole
    for name in names:
        assert lines(begin("resumed", name)) == lines(begin("whole", name))


def test_of_several_processes_none_trains_on_without_a_probe():
    """Only an end that all of them see alike leaves the rest of a pass."""
    alone, two = Group(0, 1, torch.device("cpu")), Group(1, 2, torch.device("cpu"))
    for error in (ValueError("here alone"), Interrupted("everywhere", "SIGTERM"), Diverged("everywhere", "", 1)):
        check_same_error(error, alone)
    for error in (Interrupted("everywhere", "SIGTERM"), Diverged("everywhere", "", 1)):
        check_same_error(error, two)
    with pytest.raises(ValueError, match="here alone"):
        check_same_error(ValueError("here alone"), two)
