import pytest
import torch
from torch import nn

from caebench.models.attention import RelativePositionBias
from caebench.models.pyramid import PyramidEncoder, features
from caebench.models.vit import Encoder
from caebench.specs.variants import VARIANTS, Variant

NANO = Variant(32, 4, 2, 8)


def encoder(**options):
    torch.manual_seed(0)
    return Encoder(NANO, 48, **options).eval()


def test_the_last_feature_is_the_encoder_without_its_norm():
    ours, images = encoder(), torch.randn(2, 3, 48, 48)
    last = features(ours, images, (3,))[0]
    tokens = ours.norm(torch.cat([torch.zeros(2, 1, 32), last.flatten(2).transpose(1, 2)], dim=1))
    torch.testing.assert_close(tokens[:, 1:], ours(images)[:, 1:])


def test_maps_have_four_strides_and_gradients_reach_the_patches():
    model = PyramidEncoder(encoder(), nn.BatchNorm2d)
    maps = model(torch.randn(2, 3, 48, 64))
    assert [tuple(one.shape) for one in maps] == [(2, 32, 24, 32), (2, 32, 12, 16), (2, 32, 6, 8), (2, 32, 3, 4)]
    sum(one.square().mean() for one in maps).backward()
    assert model.encoder.patch_embed.weight.grad.abs().max() > 0
    assert model.encoder.pos_embed.grad is None  # frozen


@pytest.mark.parametrize(
    ("variant", "blocks"),
    [("vit_s", (3, 5, 7, 11)), ("vit_b", (3, 5, 7, 11)), ("vit_l", (7, 11, 15, 23)), ("nano_b", (0, 1, 2, 3))],
)
def test_the_papers_blocks_are_chosen(variant, blocks):
    depth = VARIANTS[variant].depth
    assert PyramidEncoder(Encoder(Variant(16, depth, 2, 16), 32), nn.BatchNorm2d).chosen == blocks


def test_stochastic_depth_acts_in_training_only():
    model = PyramidEncoder(encoder(drop_path=0.5), nn.Identity)
    model.scales = nn.ModuleList(nn.Identity() for _ in range(4))
    images = torch.randn(4, 3, 48, 48)
    assert torch.equal(model.eval()(images)[3], model(images)[3])
    model.train()
    torch.manual_seed(1)
    first = model(images)[3]
    torch.manual_seed(1)
    assert torch.equal(first, model(images)[3])
    assert not torch.equal(first, model(images)[3])


def test_bias_on_another_grid():
    bias = RelativePositionBias(4, 2)
    nn.init.normal_(bias.table)
    assert torch.equal(bias((4, 4)), bias())
    other = bias((3, 5))
    assert other.shape == (1, 2, 16, 16)
    assert torch.equal(other[:, :, 0, 0], bias()[:, :, 0, 0])  # the class token's entries are not interpolated
    assert torch.equal(other[:, :, 0, 1], bias()[:, :, 0, 1])
    middle = bias.table[24].detach()  # offset (0, 0), the middle of the table: bicubic keeps it on odd sizes
    torch.testing.assert_close(other[0, :, 1, 1], middle)


def test_a_constant_bias_stays_constant_on_every_grid():
    bias = RelativePositionBias(4, 2)
    nn.init.constant_(bias.table, 0.3)
    torch.testing.assert_close(bias((7, 2)), torch.full((1, 2, 15, 15), 0.3))


def test_positions_follow_the_grid():
    ours = encoder()
    wide = features(ours, torch.randn(1, 3, 48, 96), (0,))[0]
    assert wide.shape == (1, 32, 6, 12)
