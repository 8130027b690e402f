"""DINO's loss, centre, schedules and teacher against float64 values worked out from its Eq. 1-4 and Algorithm 1."""

import math

import numpy as np
import pytest
import torch

from caebench.methods.builders import build_method
from caebench.methods.dino import Center, Head, distillation_loss, rising
from caebench.training.distributed import join_group
from caebench.training.hooks import StepInfo
from tests.helpers import planned

RNG = np.random.default_rng(0)
CROPS, BATCH, DIM = 4, 3, 5
STUDENT, TEACHER = (RNG.normal(0.0, 0.1, size=(number, BATCH, DIM)) for number in (CROPS, 2))
CENTER = RNG.normal(0.0, 0.1, size=DIM)


@pytest.fixture(autouse=True, scope="module")
def group():
    return join_group("cpu")


def softmax(values):
    exponentials = [math.exp(value) for value in values]
    return [value / sum(exponentials) for value in exponentials]


def worked_out(student=STUDENT, teacher=TEACHER, center=CENTER, cool=0.1, sharp=0.05, same=False, centered=True):
    """For every large crop t and every other crop s: - sum P_t log P_s; the mean over pairs and images."""
    losses = []
    for t in range(2):
        for s in range(len(student)):
            if s == t and not same:
                continue
            for image in range(student.shape[1]):
                shifted = teacher[t, image] - (center if centered else 0.0)
                wanted = softmax(shifted / sharp)
                found = softmax(student[s, image] / cool)
                losses.append(-sum(p * math.log(q) for p, q in zip(wanted, found, strict=True)))
    return sum(losses) / len(losses)


def loss(student=STUDENT, teacher=TEACHER, center=CENTER, cool=0.1, sharp=0.05):
    return float(distillation_loss(*map(torch.from_numpy, (student, teacher, center)), cool, sharp))


@pytest.mark.parametrize(("cool", "sharp"), [(0.1, 0.04), (0.1, 0.07), (0.3, 0.2)])
def test_the_loss_is_the_published_one(cool, sharp):
    assert loss(cool=cool, sharp=sharp) == pytest.approx(worked_out(cool=cool, sharp=sharp), rel=1e-10)


@pytest.mark.parametrize(
    "changed",
    [{"cool": 0.11}, {"sharp": 0.055}, {"centered": False}, {"center": -CENTER}, {"same": True}],
    ids=lambda change: next(iter(change)),
)
def test_another_temperature_centre_or_pairing_is_noticed(changed):
    assert loss() != pytest.approx(worked_out(**changed), rel=1e-5)


def test_no_gradient_reaches_the_teacher():
    student, teacher = torch.from_numpy(STUDENT).requires_grad_(), torch.from_numpy(TEACHER)
    distillation_loss(student, teacher, torch.from_numpy(CENTER), 0.1, 0.05).backward()
    assert (student.grad.abs().sum((1, 2)) > 0).all()


def test_the_centre_is_a_moving_mean_of_everything_observed_in_a_step():
    """c <- m c + (1 - m) mean of the teacher's outputs (Eq. 4); micro-batches count as one batch."""
    center, value = Center(DIM, momentum=0.9), np.zeros(DIM)
    for step in range(3):
        outputs = RNG.normal(size=(8, DIM)) + step
        center.observe(torch.from_numpy(outputs[:4]).float())
        assert np.allclose(center.value.numpy(), value, atol=1e-6), "the step's own outputs do not centre it"
        center.observe(torch.from_numpy(outputs[4:]).float())
        center.update()
        value = 0.9 * value + 0.1 * outputs.mean(0)
        assert np.allclose(center.value.numpy(), value, atol=1e-6)
        assert not np.allclose(center.value.numpy(), 0.8 * value + 0.2 * outputs.mean(0), atol=1e-3)


def test_the_teachers_temperature_rises_epoch_by_epoch():
    """From its start in the first epoch to its end in the last of the rise, and no further."""
    found = [
        rising(0.04, 0.07, 4.0, StepInfo(step, total=100, steps_per_epoch=10)) for step in (0, 9, 10, 20, 30, 40, 99)
    ]
    assert found == pytest.approx([0.04, 0.04, 0.05, 0.06, 0.07, 0.07, 0.07], rel=1e-12)
    assert rising(0.04, 0.07, 0.0, StepInfo(0, 100, 10)) == 0.07


def test_prototypes_and_bottleneck_have_unit_length(tiny):
    """The head's outputs are cosines (appendix C): worked out from its weights in float64."""
    torch.manual_seed(0)
    head = Head(6, planned(tiny, "dino", num_local=1).method)
    features = torch.randn(4, 6)
    inner = features.double()
    layers = [layer.double() for layer in head.mlp if isinstance(layer, torch.nn.Linear)]
    for number, layer in enumerate(layers):
        inner = inner @ layer.weight.T + layer.bias
        if number < 2:
            inner = inner * (1.0 + torch.erf(inner / math.sqrt(2.0))) / 2.0
    weights = head.prototypes.weight.double()
    cosines = (inner / inner.norm(dim=1, keepdim=True)) @ (weights / weights.norm(dim=1, keepdim=True)).T
    torch.testing.assert_close(head.float()(features).double(), cosines, rtol=1e-4, atol=1e-6)


@pytest.fixture
def method(tiny):
    return build_method(planned(tiny, "dino", num_local=2, drop_path=0.0))


@pytest.fixture
def batch(method):
    generator = torch.Generator().manual_seed(0)
    return {
        "views": torch.randn(3, 2, 3, 48, 48, generator=generator),
        "local": torch.randn(3, 2, 3, 21, 21, generator=generator),
        "drop_path_uniforms": torch.ones(3, 4, method.student.encoder.num_drop_path_uniforms),
    }


def test_every_small_crop_must_agree_with_both_large_ones(method, batch):
    """Crop by crop, from the method's own branches; the centre moved away from zero, the teacher from the student."""
    generator = torch.Generator().manual_seed(1)
    for parameter in method.teacher.parameters():
        parameter.data.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    method.center.value.normal_(generator=generator)
    crops = [batch["views"][:, 0], batch["views"][:, 1], batch["local"][:, 0], batch["local"][:, 1]]
    with torch.no_grad():
        student = [method.student.head(method.student.encoder(crop)[:, 0]) for crop in crops]
        teacher = [method.teacher.head(method.teacher.encoder(crop)[:, 0]) for crop in crops[:2]]
    student, teacher = (torch.stack(part).double().numpy() for part in (student, teacher))
    center = method.center.value.double().numpy()
    expected = worked_out(student, teacher, center, cool=0.1, sharp=0.04)
    assert float(method(batch)["loss"].detach()) == pytest.approx(expected, rel=1e-5)


def test_after_a_step_teacher_and_centre_follow(method, batch):
    for parameter in method.student.parameters():
        parameter.data.add_(0.1)
    before = [parameter.clone() for parameter in method.teacher.parameters()]
    method(batch)
    info, start = StepInfo(40, total=100, steps_per_epoch=10), method.config.momentum
    method.after_step(info)
    momentum = 1.0 - (1.0 - start) * (math.cos(0.4 * math.pi) + 1.0) / 2.0
    students = method.student.parameters()
    for old, followed, led in zip(before, method.teacher.parameters(), students, strict=True):
        torch.testing.assert_close(followed, momentum * old + (1.0 - momentum) * led)
    assert method.center.value.abs().sum() > 0 and method.center.num_observed == 0


def test_the_prototypes_wait_for_the_end_of_the_first_epochs(method, batch):
    frozen = method.config.frozen_epochs
    for epoch, waits in ((0.9 * frozen, True), (1.1 * frozen, False)):
        method(batch)["loss"].backward()
        method.before_update(StepInfo(round(1000 * epoch), 100_000, 1000))
        assert (method.student.head.prototypes.weight.grad is None) == waits
        assert all(parameter.grad is not None for parameter in method.student.head.mlp.parameters())
