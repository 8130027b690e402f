"""Mixing follows the group, not the device."""

import pytest
import torch

from caebench.models.heads import FinetuneHead
from caebench.models.vit import Encoder
from caebench.specs.evaluations.finetune import finetune
from caebench.specs.mixing import Mixing
from caebench.specs.variants import Variant
from caebench.tasks.finetune import Classifier, FinetuneStep

BATCH, GROUP, CLASSES = 16, 4, 5


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    return {
        "image": torch.randn(BATCH, 3, 8, 8, generator=generator),
        "label": torch.randint(0, CLASSES, (BATCH,), generator=generator),
        "mix_seed": torch.randint(0, 2**62, (BATCH,), generator=generator),
    }


def make_step(**changes):
    config = finetune("vit_b").replace(mixing=Mixing(group=GROUP, **changes))
    classifier = Classifier(Encoder(Variant(8, 1, 2, 4), 8), FinetuneHead(8, CLASSES, 1.0))
    return FinetuneStep(classifier, config, CLASSES)


def part(batch, first, last):
    return {name: value[first:last].clone() for name, value in batch.items()}


@pytest.mark.parametrize("micro", [4, 8])
def test_micro_batches_mix_as_the_whole_batch_does(batch, micro):
    images, targets = make_step().mix(part(batch, 0, BATCH))
    for first in range(0, BATCH, micro):
        own_images, own_targets = make_step().mix(part(batch, first, first + micro))
        torch.testing.assert_close(own_images, images[first : first + micro], rtol=0, atol=0)
        torch.testing.assert_close(own_targets, targets[first : first + micro], rtol=0, atol=0)


def test_targets_are_distributions_that_say_how_much_of_each_image_is_in_the_mix(batch):
    images, targets = make_step(cutmix=0.0).mix(part(batch, 0, BATCH))
    torch.testing.assert_close(targets.sum(1), torch.ones(BATCH))
    partner = torch.cat([group.flip(0) for group in batch["image"].split(GROUP)])
    own = ((images - partner) * (batch["image"] - partner)).flatten(1).sum(1) / (batch["image"] - partner).flatten(
        1
    ).square().sum(1)
    labels = torch.cat([group.flip(0) for group in batch["label"].split(GROUP)])
    for number in range(BATCH):
        if batch["label"][number] != labels[number]:
            share = targets[number, batch["label"][number]] - 0.1 / CLASSES
            assert float(share) == pytest.approx(0.9 * float(own[number]), abs=1e-4)


def test_groups_draw_their_own_mix(batch):
    images, _ = make_step(cutmix=0.0).mix(part(batch, 0, BATCH))
    shares = [
        float((images[n] - batch["image"][n]).norm() / (batch["image"][n + GROUP - 1] - batch["image"][n]).norm())
        for n in range(0, BATCH, GROUP)
    ]
    assert len({round(share, 4) for share in shares}) == BATCH // GROUP
