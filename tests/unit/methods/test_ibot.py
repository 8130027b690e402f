"""iBOT's patch loss and masks against float64 values worked out from its Eq. 2 and 3."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from caebench.methods.builders import build_method
from caebench.methods.dino import distillation_loss
from caebench.methods.ibot import masked_distillation_loss
from caebench.models.vit import Fill
from caebench.training.distributed import join_group
from caebench.training.hooks import StepInfo
from tests.helpers import planned

RNG = np.random.default_rng(0)
CROPS, PATCHES, DIM = 3, 4, 5
STUDENT, TEACHER = (RNG.normal(0.0, 0.1, size=(CROPS, PATCHES, DIM)) for _ in range(2))
CENTER = RNG.normal(0.0, 0.1, size=DIM)
MASKED = np.array([[True, False, True, True], [False] * 4, [False, False, False, True]])


@pytest.fixture(autouse=True, scope="module")
def group():
    return join_group("cpu")


def softmax(values):
    exponentials = [math.exp(value) for value in values]
    return [value / sum(exponentials) for value in exponentials]


def worked_out(student=STUDENT, teacher=TEACHER, center=CENTER, masked=MASKED, cool=0.1, sharp=0.05, flat=False):
    """Crop by crop the mean over its masked patches of - sum P_t log P_s, and the mean over crops."""
    crops = []
    for crop in range(len(student)):
        losses = []
        for patch in np.flatnonzero(masked[crop]):
            wanted, found = softmax((teacher[crop, patch] - center) / sharp), softmax(student[crop, patch] / cool)
            losses.append(-sum(p * math.log(q) for p, q in zip(wanted, found, strict=True)))
        crops.append(losses)
    if flat:
        return sum(map(sum, crops)) / sum(map(len, crops))
    return sum(sum(losses) / max(1, len(losses)) for losses in crops) / len(crops)


def loss(cool=0.1, sharp=0.05, center=CENTER):
    student, teacher = (torch.from_numpy(part[MASKED]) for part in (STUDENT, TEACHER))
    masked, center = torch.from_numpy(MASKED), torch.from_numpy(center)
    return float(masked_distillation_loss(student, teacher, masked, center, cool, sharp))


@pytest.mark.parametrize(("cool", "sharp"), [(0.1, 0.04), (0.1, 0.07), (0.3, 0.2)])
def test_the_loss_is_the_published_one(cool, sharp):
    assert loss(cool, sharp) == pytest.approx(worked_out(cool=cool, sharp=sharp), rel=1e-10)


@pytest.mark.parametrize(
    "changed",
    [{"cool": 0.11}, {"sharp": 0.055}, {"center": 0.0 * CENTER}, {"masked": ~MASKED}, {"flat": True}],
    ids=lambda change: next(iter(change)),
)
def test_another_temperature_centre_mask_or_mean_is_noticed(changed):
    assert loss() != pytest.approx(worked_out(**changed), rel=1e-5)


@pytest.fixture
def method(tiny):
    return build_method(planned(tiny, "ibot", num_local=1))


@pytest.fixture
def batch(method):
    generator = torch.Generator().manual_seed(0)
    return {
        "views": torch.randn(3, 2, 3, 48, 48, generator=generator),
        "local": torch.randn(3, 1, 3, 21, 21, generator=generator),
        "masked": torch.rand(3, 2, 36, generator=generator) < 0.3,
        "drop_path_uniforms": torch.ones(3, 3, method.student.encoder.num_drop_path_uniforms),
    }


@pytest.mark.parametrize("weights", [(1.0, 1.0), (0.5, 2.0)])
def test_the_loss_is_the_weighted_sum_of_both(tiny, batch, weights):
    """Worked out from the method's branches: the same view at patches, the other crops at the class token."""
    own = {"num_local": 1, "drop_path": 0.0, "class_weight": weights[0], "patch_weight": weights[1]}
    method = build_method(planned(tiny, "ibot", **own))
    generator = torch.Generator().manual_seed(1)
    for parameter in [*method.teacher.parameters(), method.mask_token]:
        parameter.data.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    for center in (method.center, method.patch_center):
        center.value.normal_(generator=generator)
    with torch.no_grad():
        students, teachers = [], []
        for view in (0, 1):
            fill = Fill(batch["masked"][:, view], method.mask_token)
            students.append(method.student.head(method.student.encoder(batch["views"][:, view], fill=fill)).double())
            teachers.append(method.teacher.head(method.teacher.encoder(batch["views"][:, view])).double())
        small = method.student.head(method.student.encoder(batch["local"][:, 0])).double()
    crops = torch.stack([students[0][:, 0], students[1][:, 0], small[:, 0]])
    large = torch.stack([teacher[:, 0] for teacher in teachers])
    class_loss = float(distillation_loss(crops, large, method.center.value.double(), 0.1, 0.04))
    patches = [torch.cat([part[:, 1:] for part in parts]).numpy() for parts in (students, teachers)]
    masks = batch["masked"].transpose(0, 1).flatten(0, 1).numpy()
    patch_loss = worked_out(*patches, method.patch_center.value.double().numpy(), masks, sharp=0.04)
    found = method(batch)
    assert float(found["class_loss"]) == pytest.approx(class_loss, rel=1e-5)
    assert float(found["patch_loss"]) == pytest.approx(patch_loss, rel=1e-5)
    expected = weights[0] * class_loss + weights[1] * patch_loss
    assert float(found["loss"].detach()) == pytest.approx(expected, rel=1e-5)


def test_each_centre_follows_its_own_outputs(method, batch):
    with torch.no_grad():
        outputs = method.teacher.head(method.teacher.encoder(batch["views"].transpose(0, 1).flatten(0, 1)))
    method(batch)
    method.after_step(StepInfo(0, 100, 10))
    torch.testing.assert_close(method.center.value, 0.1 * outputs[:, 0].mean(0))
    torch.testing.assert_close(method.patch_center.value, 0.1 * outputs[:, 1:].mean((0, 1)))


def test_half_of_the_large_crops_are_masked_to_a_drawn_share(tiny):
    config = planned(tiny, "ibot", num_local=1)
    sample = build_method(config).make_sampler(config)
    picture = Image.new("RGB", (24, 24))
    masks = torch.cat([sample(picture, 0, (0, number))["masked"] for number in range(150)])
    counts = masks.sum(1)
    share = float((counts > 0).float().mean())
    assert 0.4 < share < 0.6
    assert counts[counts > 0].min() >= round(0.1 * 36) and counts.max() <= round(0.5 * 36)
    assert len(counts.unique()) > 8


def test_a_batch_without_masks_has_a_patch_loss_of_zero_and_a_gradient(method, batch):
    """Else a process that drew no mask would stop the others."""
    found = method({**batch, "masked": torch.zeros_like(batch["masked"])})
    found["loss"].backward()
    assert float(found["patch_loss"]) == 0.0
    assert all(p.grad is not None for p in [*method.student.parameters(), method.mask_token])
