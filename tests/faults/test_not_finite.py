"""A loss that is not finite: the steps since the last checkpoint are repeated, and what comes of it is the undisturbed
bits; the same step again is the training's own fault."""

import pytest
import torch

from caebench.execution.worker import run_job, run_jobs
from caebench.files.layout import ATTEMPTS, ENCODER, FAILURE
from caebench.files.lines import read_lines
from caebench.files.result import read_result
from caebench.specs.progress import no_progress
from caebench.specs.site import Site
from caebench.store.state import attempts
from caebench.store.store import Store
from caebench.training.trainer import Trainer
from tests.helpers import longer, metrics, read, variation

RARELY, OFTEN = Site(device="cpu"), Site(device="cpu", checkpoint_minutes=1e-6)  # no checkpoint, or one every 10 steps
ALWAYS = 10**6


@pytest.fixture
def poison(monkeypatch):
    """Have the loss be NaN at steps (counted from 1), so many times each; or the gradient alone."""
    accumulate = Trainer._accumulate

    def at(times, gradient_only=False):
        def poisoned(self, micro_batches):
            means, step = accumulate(self, micro_batches), self.position.step + 1
            if times.get(step, 0) == 0:
                return means
            times[step] -= 1
            next(one for one in self.parameters if one.grad is not None).grad.mul_(torch.nan)
            return means if gradient_only else {**means, "loss": means["loss"] * torch.nan}

        monkeypatch.setattr(Trainer, "_accumulate", poisoned)

    return at


@pytest.fixture
def pretraining(quickstart, bench):
    found = quickstart.job("pretrain", "cae-pixels")
    return lambda **changes: variation(bench, found, longer(found, **changes))


@pytest.fixture
def undisturbed(bench, pretraining):
    """What the pretraining gives without a fault."""
    job = pretraining()
    folder = bench.folder(job)
    assert run_job(folder, bench.store, RARELY) == "done"
    return bench.set_aside(job, "undisturbed")


def outputs(folder):
    return read_result(folder)["metrics"], metrics(folder), (folder / ENCODER).read_bytes()


@pytest.mark.parametrize(
    ("faults", "gradient_only", "site"),
    [
        pytest.param({33: 1}, False, OFTEN, id="a loss"),
        pytest.param({30: 1}, True, OFTEN, id="a logged gradient", marks=pytest.mark.slow),
        pytest.param({60: 1}, False, RARELY, id="the last step", marks=pytest.mark.slow),
        pytest.param({7: 1, 23: 1, 24: 1}, False, RARELY, id="three", marks=pytest.mark.slow),
        pytest.param({7: 1, 23: 1, 24: 1}, False, OFTEN, id="three, with checkpoints", marks=pytest.mark.slow),
    ],
)
def test_a_transient_fault_gives_the_undisturbed_bits(
    bench, pretraining, undisturbed, poison, site, faults, gradient_only
):
    folder, count, faults = bench.folder(pretraining()), len(faults), dict(faults)
    poison(faults, gradient_only)
    assert run_job(folder, bench.store, site) == "done"
    assert set(faults.values()) == {0}, "each has struck"
    assert outputs(folder) == outputs(undisturbed)
    assert not (folder / FAILURE).exists() and "skipped_steps" not in read_result(folder)
    assert 1 <= sum("repeated" in line for line in read_lines(folder / ATTEMPTS)) <= count


@pytest.mark.parametrize("gradient_only", [pytest.param(False, marks=pytest.mark.slow), True])
def test_the_same_step_again_fails_with_step_and_loss_and_goes_on_where_it_was(
    bench, pretraining, undisturbed, poison, gradient_only
):
    job = pretraining()
    folder = bench.folder(job)
    poison({33: 2}, gradient_only)
    assert run_job(folder, bench.store, OFTEN) == "failed"
    said = "loss is nan at step 33 of 60" if not gradient_only else "grad_norm is nan at step 33 of 60"
    assert said in read(folder / FAILURE)["error"] and Store(bench.store).state(job) == "failed"
    assert run_job(folder, bench.store, OFTEN) == "done", "there is no fault any more"
    assert outputs(folder) == outputs(undisturbed)


@pytest.mark.slow
def test_steps_are_left_out_only_as_the_recipe_allows_and_the_result_names_them(bench, pretraining, poison):
    allowed, faults = pretraining(max_skipped_steps=2), {33: ALWAYS, 34: ALWAYS}
    assert allowed.id != pretraining().id, "what may be left out is part of the job"
    poison(faults)
    assert run_job(bench.folder(allowed), bench.store, OFTEN) == "done"
    assert read_result(bench.folder(allowed))["skipped_steps"] == [33, 34]
    fewer = pretraining(max_skipped_steps=1)
    assert run_job(bench.folder(fewer), bench.store, OFTEN) == "failed"
    assert "loss is nan at step 34 of 60" in read(bench.folder(fewer) / FAILURE)["error"]


@pytest.mark.slow
def test_what_was_left_out_does_not_depend_on_where_it_is_repeated_from(bench, pretraining, poison):
    job = pretraining(max_skipped_steps=1)
    folder, found = bench.folder(job), []
    poison({33: ALWAYS})
    for number, site in enumerate((RARELY, OFTEN)):
        assert run_job(folder, bench.store, site) == "done"
        found.append((outputs(folder), read_result(folder)["skipped_steps"]))
        bench.set_aside(job, f"try-{number}")
    assert found[0] == found[1]


@pytest.mark.slow
def test_a_probe_of_a_pass_is_repeated_alone(quickstart, bench, poison):
    probes = [quickstart.job(kind, "cae-pixels") for kind in ("linear_probe", "attentive_probe")]
    jobs = [variation(bench, one, longer(one, warmup_epochs=0.0)) for one in probes]
    folders = {bench.folder(job): no_progress for job in jobs}
    assert set(run_jobs(folders, bench.store, OFTEN).values()) == {"done"}
    kept = [bench.set_aside(job, f"kept-{job.kind}") for job in jobs]
    struck = []

    accumulate = Trainer._accumulate

    def once(self, micro_batches):
        means = accumulate(self, micro_batches)
        if self.position.step == 19 and self.run.folder == bench.folder(jobs[1]) and not struck:
            struck.append(20)
            return {**means, "loss": means["loss"] * torch.nan}
        return means

    poison({})
    Trainer._accumulate = once  # the fixture puts it back
    assert set(run_jobs(folders, bench.store, OFTEN).values()) == {"done"} and struck
    for job, before in zip(jobs, kept, strict=True):
        folder = bench.folder(job)
        assert (read_result(folder)["metrics"], metrics(folder)) == (read_result(before)["metrics"], metrics(before))
    assert [("repeated" in attempts(bench.folder(job))[-1]) for job in jobs] == [False, True]
