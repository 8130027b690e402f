"""MoCo v3's loss and momentum against float64 values worked out from its Eq. 1 and Algorithm 1."""

import math

import numpy as np
import pytest
import torch

from caebench.methods.builders import build_method
from caebench.methods.moco_v3 import contrast
from caebench.training.distributed import join_group
from caebench.training.hooks import StepInfo
from tests.helpers import planned

RNG = np.random.default_rng(0)
QUERIES, KEYS = RNG.normal(size=(3, 5)), RNG.normal(size=(6, 5))


def worked_out(queries=QUERIES, keys=KEYS, start=3, temperature=0.2, scale=None, unit=True):
    """2 tau times the mean over queries of - log exp(q k+ / tau) / sum over keys exp(q k / tau), on the unit sphere."""
    total = 0.0
    for number, query in enumerate(queries):
        length = math.sqrt(sum(query**2)) if unit else 1.0
        similar = []
        for key in keys:
            other = math.sqrt(sum(key**2)) if unit else 1.0
            similar.append(sum(query * key) / (length * other))
        exponentials = [math.exp(value / temperature) for value in similar]
        total -= math.log(exponentials[start + number] / sum(exponentials))
    return (2.0 * temperature if scale is None else scale) * total / len(queries)


def loss(temperature=0.2, start=3):
    return float(contrast(torch.from_numpy(QUERIES), torch.from_numpy(KEYS), start, temperature))


@pytest.mark.parametrize("temperature", [0.07, 0.2, 1.0])
@pytest.mark.parametrize("start", [0, 3])
def test_the_loss_is_the_published_one(temperature, start):
    """Of the second of two processes: its queries belong to the later keys."""
    assert loss(temperature, start) == pytest.approx(worked_out(temperature=temperature, start=start), rel=1e-12)


@pytest.mark.parametrize(
    "changed", [{"temperature": 0.19}, {"start": 2}, {"scale": 1.0}, {"unit": False}], ids=lambda change: str(change)
)
def test_another_temperature_pair_scale_or_normalisation_is_noticed(changed):
    assert loss() != pytest.approx(worked_out(**changed), rel=1e-5)


@pytest.fixture
def method(tiny):
    join_group("cpu")
    return build_method(planned(tiny, "moco_v3"))


@pytest.fixture
def views():
    return torch.randn(6, 2, 3, 48, 48, generator=torch.Generator().manual_seed(0))


def test_both_views_predict_each_other(method, views):
    """Batch norm of each view apart, and the mean of both directions' losses twice."""
    first, second = (method.online.projector(method.online.encoder(views[:, n])[:, 0]) for n in (0, 1))
    keys = [method.momentum.projector(method.momentum.encoder(views[:, n])[:, 0]) for n in (0, 1)]
    queries = [method.predictor(projected) for projected in (first, second)]
    (q1, q2), (k1, k2) = ([part.detach().double().numpy() for part in parts] for parts in (queries, keys))
    expected = worked_out(q1, k2, start=0) + worked_out(q2, k1, start=0)
    assert float(method({"views": views})["loss"].detach()) == pytest.approx(expected, rel=1e-5)
    assert abs(expected - worked_out(q1, k1, start=0) - worked_out(q2, k2, start=0)) > 1e-3


@pytest.mark.parametrize("step", [0, 30, 99])
def test_the_momentum_branch_follows_along_a_cosine(method, step):
    """theta_k <- m theta_k + (1 - m) theta_q, m from its start to 1 (Sec. 5), before the keys are made."""
    generator = torch.Generator().manual_seed(1)
    for parameter in method.online.parameters():
        parameter.data.add_(torch.randn(parameter.shape, generator=generator))
    before = [parameter.clone() for parameter in method.momentum.parameters()]
    method.before_step(StepInfo(step, total=100, steps_per_epoch=10))
    start = method.config.momentum
    momentum = 1.0 - (1.0 - start) * (math.cos(math.pi * step / 100) + 1.0) / 2.0
    online = list(method.online.parameters())
    for old, followed, led in zip(before, method.momentum.parameters(), online, strict=True):
        torch.testing.assert_close(followed, momentum * old + (1.0 - momentum) * led)
    assert not torch.allclose(next(method.momentum.parameters()), before[0]) or step == 99


def test_heads_end_in_batch_norm_without_affine(method, views):
    """Every feature of a batch has mean 0 and variance 1 over the batch (official moco/builder.py)."""
    first, second, _ = method.online(views)
    for out in (first, second, method.predictor(first)):
        torch.testing.assert_close(out.mean(0), torch.zeros(out.shape[1]), atol=1e-5, rtol=0)
        torch.testing.assert_close(out.var(0, unbiased=False), torch.ones(out.shape[1]), atol=1e-2, rtol=0)


def test_the_patch_projection_stays_as_it_was_drawn(method):
    assert not any(parameter.requires_grad for parameter in method.online.encoder.patch_embed.parameters())
    assert not any(parameter.requires_grad for parameter in method.momentum.parameters())
