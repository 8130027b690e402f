"""Heads: batch norm over all processes in training, and over nothing but the training data's statistics afterwards."""

import pytest
import torch
from torch import nn

from caebench.models.heads import AttentiveHead, BatchNorm, FinetuneHead, LinearHead
from caebench.training.distributed import join_group


@pytest.fixture(autouse=True, scope="module")
def group():
    return join_group("cpu")


@pytest.fixture
def batches():
    generator = torch.Generator().manual_seed(0)
    return [3.0 * torch.randn(12, 5, generator=generator) + 2.0 for _ in range(3)]


def test_it_trains_as_torchs_batch_norm(batches):
    ours, theirs = BatchNorm(5, eps=1e-6), nn.BatchNorm1d(5, eps=1e-6, affine=False)
    for batch in batches:
        one, two = (batch.clone().requires_grad_() for _ in range(2))
        out, expected = ours(one), theirs(two)
        torch.testing.assert_close(out, expected)
        weights = torch.arange(60.0).reshape(12, 5)
        (out * weights).sum().backward()
        (expected * weights).sum().backward()
        torch.testing.assert_close(one.grad, two.grad, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.running_var, theirs.running_var)
    ours.eval(), theirs.eval()
    torch.testing.assert_close(ours(batches[0]), theirs(batches[0]))


HEADS = {
    "linear": lambda: (LinearHead(8, 3), torch.randn(10, 8)),
    "attentive": lambda: (AttentiveHead(8, 2, 3), torch.randn(10, 7, 8)),
    "finetune": lambda: (FinetuneHead(8, 3, 0.001), torch.randn(10, 7, 8)),
}


@pytest.mark.parametrize("name", HEADS)
def test_an_images_logits_do_not_depend_on_its_validation_batch(name):
    torch.manual_seed(0)
    head, features = HEADS[name]()
    head.train()(5.0 * features + 1.0)
    head.eval()
    before = {name: value.clone() for name, value in head.state_dict().items()}
    together = head(features)
    for number in range(10):
        torch.testing.assert_close(head(features[number : number + 1])[0], together[number], rtol=1e-5, atol=1e-6)
    assert all(torch.equal(value, before[name]) for name, value in head.state_dict().items()), "looking changes nothing"


@pytest.mark.parametrize("name", HEADS)
def test_every_parameter_of_a_head_trains(name):
    torch.manual_seed(0)
    head, features = HEADS[name]()
    head(features).square().sum().backward()
    assert [n for n, p in head.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []


def test_the_attentive_head_pools_a_set():
    """Its query knows no places: shuffled tokens give the same logits."""
    torch.manual_seed(0)
    head = AttentiveHead(8, 2, 3).eval()
    tokens = torch.randn(4, 7, 8)
    torch.testing.assert_close(head(tokens[:, torch.randperm(7)]), head(tokens), rtol=1e-5, atol=1e-6)


def test_the_finetuning_head_ignores_the_class_token():
    head = FinetuneHead(8, 3, 1.0)
    tokens = torch.randn(4, 7, 8)
    other = tokens.clone()
    other[:, 0] = 9.0
    torch.testing.assert_close(head(other), head(tokens), rtol=0, atol=0)
