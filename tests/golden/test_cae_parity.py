"""Parity with the official CAE code: the tensors were computed by that code (tests/golden/README.md)."""

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.golden.official_cae import load_official, rename

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def expected():
    return load_file(HERE / "cae_pretraining.expected.safetensors")


@pytest.fixture(scope="module")
def model():
    return load_official(HERE / "cae_pretraining.pth", num_heads=4)


@pytest.fixture(scope="module")
def losses(model, expected):
    losses = model.losses(expected["images"], expected["mask"], expected["labels"])
    losses["total"].backward()
    return losses


def test_losses_match_the_official_code(losses, expected):
    torch.testing.assert_close(losses["reconstruction"], expected["loss_reconstruction"].squeeze(), rtol=1e-5, atol=0)
    torch.testing.assert_close(
        2.0 * losses["alignment"], expected["loss_alignment_weighted"].squeeze(), rtol=1e-5, atol=0
    )
    total = expected["loss_reconstruction"] + expected["loss_alignment_weighted"]
    torch.testing.assert_close(losses["total"], total.squeeze(), rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    ("ours", "official"), [("logits", "logits"), ("predicted", "latent_predict"), ("target", "latent_target")]
)
def test_outputs_match_the_official_code(losses, expected, ours, official):
    torch.testing.assert_close(losses[ours], expected[official], rtol=1e-5, atol=1e-5)


def test_encoder_sees_the_whole_image_like_the_official_encoder(model, expected):
    torch.testing.assert_close(model.encoder(expected["images"]), expected["encoder_full_view"], rtol=1e-5, atol=1e-5)


def test_gradient_norms_match_the_official_code(model, losses, expected):
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    official = {name.removeprefix("grad_norm/"): norm for name, norm in expected.items() if name.startswith("grad")}
    for name, norm in official.items():
        torch.testing.assert_close(official_gradient(gradients, name).norm()[None], norm, rtol=1e-4, atol=1e-7)
    covered = {re.sub(r"(qkv|[qv])_bias$", "qkv.bias", rename(name)) for name in official}
    assert covered == gradients.keys()


def official_gradient(gradients, name):
    """The gradient under an official name; q and v biases are thirds of our qkv bias."""
    if name.endswith((".attn.q_bias", ".attn.v_bias")):
        q, _, v = gradients[rename(name)[: -len("q_bias")] + "qkv.bias"].chunk(3)
        return q if name.endswith("q_bias") else v
    return gradients[rename(name)]


def test_every_trainable_parameter_gets_a_gradient(model, losses):
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []
