"""Many linear probes at once: each as alone, one chosen on images that were held out."""

import json

import pytest
import torch
from torch.nn import functional as F

from caebench.data.randomness import Purpose, derive, seeded
from caebench.models.heads import LinearHead
from caebench.specs.evaluations.linear_probe_grid import linear_probe_grid
from caebench.specs.inputs.random_encoder import RandomEncoder
from caebench.specs.job import make_job
from caebench.specs.site import Site
from caebench.stages import run_stage
from caebench.tasks.linear_grid import HEADS, GridHead, GridStep, hold_out
from caebench.tasks.probes import Frozen
from caebench.training.distributed import join_group
from caebench.training.optim import make_optimizer, set_learning_rate, split_decay
from caebench.training.run import Run

DIMS = {"cls": 6, "last4": 24}
CLASSES, STEPS = 5, 20
OPTIMIZATION = linear_probe_grid().optimization.replace(global_batch=256)  # at 16384 biases swing, and rounding grows


class Given(Frozen):
    """In place of a frozen encoder: features that are there."""

    def __init__(self):
        pass

    def read(self, images, parts):
        return {part: images[:, : DIMS[part]] for part in parts}


@pytest.fixture(scope="module", autouse=True)
def group():
    return join_group("cpu")


@pytest.fixture(scope="module")
def batches():
    generator = torch.Generator().manual_seed(0)
    draw = [torch.randn(32, 24, generator=generator) for _ in range(STEPS)]
    return [{"image": i, "label": torch.arange(32) % CLASSES, "index": torch.arange(32)} for i in draw]


def train_grid(base_lrs, batches, held=()):
    head = GridHead(DIMS, base_lrs, CLASSES, seed=3)
    step = GridStep(Given(), head, tuple(DIMS), torch.isin(torch.arange(32), torch.tensor(held, dtype=torch.long)))
    optimizer = make_optimizer(OPTIMIZATION, head.groups(OPTIMIZATION.base_lr))
    for batch in batches:
        set_learning_rate(optimizer, OPTIMIZATION.lr)
        step(batch)["loss"].backward()
        optimizer.step()
        optimizer.zero_grad()
    return head


def train_alone(feature, base_lr, batches):
    with seeded(derive(Purpose.INITIALISATION, 3)):
        head = LinearHead(DIMS[feature], CLASSES)
    config = OPTIMIZATION.replace(base_lr=base_lr)
    optimizer = make_optimizer(config, split_decay(head))
    for batch in batches:
        set_learning_rate(optimizer, config.lr)
        features = Given().read(batch["image"], (feature,))[feature]
        F.cross_entropy(head(features), batch["label"]).backward()
        optimizer.step()
        optimizer.zero_grad()
    return head


def test_each_head_learns_as_it_would_alone(batches):
    head = train_grid((0.1, 1.6, 0.0125), batches)
    found = dict(zip(head.settings, [one for heads in head.heads.values() for one in heads], strict=True))
    assert len(found) == 6
    for (feature, base_lr), ours in found.items():
        alone = train_alone(feature, base_lr, batches)
        torch.testing.assert_close(ours.weight, alone.linear.weight, rtol=1e-5, atol=1e-6)  # sums in another order
        torch.testing.assert_close(ours.bias, alone.linear.bias, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(head.norms[feature].running_mean, alone.norm.running_mean, rtol=0, atol=0)


def test_a_head_that_overflows_takes_no_other_along(batches):
    with_it, without = train_grid((0.1, 1e30), batches), train_grid((0.1,), batches)
    assert not with_it.heads["cls"][1].weight.isfinite().all()
    for feature in DIMS:
        torch.testing.assert_close(with_it.heads[feature][0].weight, without.heads[feature][0].weight)


def test_what_is_held_out_is_drawn_by_the_seed():
    held = hold_out(200, 0.1, seed=0)
    assert len(set(held)) == 20 and held == sorted(held) == hold_out(200, 0.1, seed=0) != hold_out(200, 0.1, seed=1)


def test_what_is_held_out_teaches_nothing(batches):
    held = [3, 17, 30]
    other = [{**batch, "label": batch["label"].clone()} for batch in batches]
    for batch in other:
        batch["label"][held] = 0
    ours, theirs, taught = (train_grid((0.1,), b, h) for b, h in ((batches, held), (other, held), (batches, [])))
    assert torch.equal(ours.heads["cls"][0].weight, theirs.heads["cls"][0].weight)
    assert not torch.allclose(ours.heads["cls"][0].weight, taught.heads["cls"][0].weight)


def test_the_loss_is_the_mean_over_what_teaches(batches):
    head = GridHead(DIMS, (0.1,), CLASSES, seed=3)
    batch, held = batches[0], torch.arange(32) < 7
    losses = [
        F.cross_entropy(logits[~held], batch["label"][~held])
        for logits in head(Given().read(batch["image"], tuple(DIMS)))
    ]
    found = GridStep(Given(), head, tuple(DIMS), held)(batch)["loss"]
    torch.testing.assert_close(found, torch.stack(losses).sum())


def test_the_reported_head_is_the_best_on_held_out_images(tiny, tmp_path):
    encoder = make_job(tiny.apply(RandomEncoder(kind="random_encoder", variant="vit_b", image_size=224)))
    job = make_job(tiny.apply(linear_probe_grid().replace(hold_out=0.2)), encoder=encoder)
    folders = {"data": tmp_path / "data", "encoder": tmp_path / "encoder"}
    for role, folder in folders.items():
        folder.mkdir()
        run_stage(job.inputs[role].config, Run(folder, {}, Site(device="cpu"), join_group("cpu")))
        (folder / "result.json").write_text("{}")
    run = Run(tmp_path, folders, Site(device="cpu"), join_group("cpu"))
    found, heads = run_stage(job.config, run), json.loads((tmp_path / HEADS).read_text())
    assert len(heads) == 13 * 3
    (chosen,) = [head for head in heads if head["chosen"]]
    assert chosen["held_out"] == found["top1_held_out"] == max(head["held_out"] for head in heads)
    assert (found["top1"], found["base_lr"]) == (chosen["val"], chosen["base_lr"])
    assert found["top1_best_on_val"] == max(head["val"] for head in heads) >= found["top1"]
    assert set(run.intervals) == {"top1", "top1_best_on_val", "top1_held_out"}
