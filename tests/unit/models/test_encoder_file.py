"""The encoder file: what it holds, what comes back, and comparing it with what a model has."""

import pytest
import torch

from caebench.config.stage import ENCODER
from caebench.config.variants import Variant
from caebench.models.checkpoint import misfits, read_encoder, save_encoder
from caebench.models.vit import Encoder


def test_misfits_name_each_tensor_and_both_shapes():
    expected = {"weight": torch.zeros(4, 8), "bias": torch.zeros(4), "scale": torch.zeros(4)}
    found = {"weight": torch.zeros(4, 6), "scale": torch.zeros(4), "extra": torch.zeros(1)}
    assert misfits(expected, found) == [
        "bias: missing",
        "extra: not part of the model",
        "weight: (4, 6), expected (4, 8)",
    ]


@pytest.mark.parametrize("bias", ["none", "block", "shared"])
@pytest.mark.parametrize("positions", ["sincos", "learnt", "learnt_with_class", "none"])
def test_an_encoder_comes_back_as_it_was(tmp_path, bias, positions):
    encoder = make(relative_position_bias=bias, positions=positions)
    save_encoder(encoder, tmp_path / ENCODER)
    images = torch.rand(2, 3, 16, 24)
    again = read_encoder(tmp_path / ENCODER).requires_grad_(False)  # as the first: another kernel otherwise
    assert (again.positions, again.relative_position_bias) == (positions.removesuffix("_with_class"), bias)
    torch.testing.assert_close(again(images), encoder(images), rtol=0, atol=0)
    each = read_encoder(tmp_path / ENCODER, relative_position_bias=True)
    assert len(each.relative_position_biases) == len(encoder.blocks)
    exact = [one.double()(images.double()) for one in (each, again)]  # in float32 another kernel rounds otherwise
    torch.testing.assert_close(exact[0], exact[1], rtol=0, atol=1e-13)


def test_positions_and_biases_move_to_another_grid_as_the_running_encoder_does(tmp_path):
    encoder = make(relative_position_bias="shared", positions="learnt")
    save_encoder(encoder, tmp_path / ENCODER)
    images = torch.rand(2, 3, 32, 32)
    larger = read_encoder(tmp_path / ENCODER, 32)
    assert larger.pos_embed.shape[1] == 64
    torch.testing.assert_close(larger(images), encoder(images), rtol=1e-5, atol=1e-5)


def make(**options):
    torch.manual_seed(0)
    encoder = Encoder(Variant(32, 3, 4, 4), 16, **options)
    for bias in encoder.relative_position_biases:
        torch.nn.init.normal_(bias.table)
    return encoder.requires_grad_(False)
