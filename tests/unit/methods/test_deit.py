"""DeiT's loss against float64 values, and repeated augmentation."""

import math

import numpy as np
import pytest
import torch

from caebench.data.loading import Steps
from caebench.data.mixing import GroupMixup
from caebench.methods.deit import class_loss
from tests.helpers import planned

RNG = np.random.default_rng(0)
LOGITS, LABELS, CLASSES = RNG.normal(size=(4, 6)) * 2.0, [5, 0, 3, 3], 6


def smoothed(label, smoothing):
    return [(1.0 - smoothing) * (number == label) + smoothing / CLASSES for number in range(CLASSES)]


def worked_out(share=0.7, smoothing=0.1):
    """- sum over classes of target * log softmax; the target of a mixed image is that of both, by their share."""
    total = 0.0
    for number, label in enumerate(LABELS):
        own, other = smoothed(label, smoothing), smoothed(LABELS[-1 - number], smoothing)
        target = [share * a + (1.0 - share) * b for a, b in zip(own, other, strict=True)]
        normalizer = math.log(sum(math.exp(value) for value in LOGITS[number]))
        total -= sum(t * (value - normalizer) for t, value in zip(target, LOGITS[number], strict=True))
    return total / len(LABELS)


@pytest.fixture
def targets(tiny, monkeypatch):
    """Makes the soft targets of one group whose draw from the beta distribution gives each image this share."""
    mix = GroupMixup(planned(tiny, "deit").method.mixing.replace(group=4, cutmix=0.0), 0.1, CLASSES)

    def draw(share):
        monkeypatch.setattr(np.random, "beta", lambda *_: share)
        return mix(group())[1]

    return draw


def group():
    """A batch of one group."""
    return {"image": torch.randn(4, 3, 8, 8), "label": torch.tensor(LABELS), "mix_seed": torch.arange(4)}


@pytest.mark.parametrize("share", [1.0, 0.7])
def test_the_loss_is_the_published_one(targets, share):
    found = class_loss(torch.from_numpy(LOGITS), targets(share).double())
    assert float(found) == pytest.approx(worked_out(share), rel=1e-6)


@pytest.mark.parametrize("changed", [{"smoothing": 0.0}, {"smoothing": 0.2}, {"share": 0.6}], ids=str)
def test_another_smoothing_or_share_is_noticed(targets, changed):
    found = class_loss(torch.from_numpy(LOGITS), targets(0.7).double())
    assert float(found) != pytest.approx(worked_out(**changed), rel=1e-5)


def order(epoch_length, repeats, epochs=1, size=1, rank=0):
    steps = Steps(
        epoch_length, 6, seed=0, start=0, stop=2 * epochs, rank=rank, size=size, micro=6 // size, repeats=repeats
    )
    return [key for micro in steps for key in micro]


def test_an_image_comes_three_times_in_a_row_as_three_samples():
    """Repeated augmentation: an epoch of 12 sees 4 of 12 images, each as three samples with randomness of their own."""
    keys = order(12, 3)
    assert len({index for _, index in keys}) == 12
    images = [index % 12 for _, index in keys]
    assert all(len(set(images[first : first + 3])) == 1 for first in range(0, 12, 3)) and len(set(images)) == 4
    assert order(12, 1) != keys and sorted(index for _, index in order(12, 1)) == list(range(12))


def test_repeats_are_shared_over_processes():
    parts = [order(12, 3, size=2, rank=rank) for rank in (0, 1)]
    assert sorted(parts[0] + parts[1]) == sorted(order(12, 3))
