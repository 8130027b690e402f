"""timm's own networks behind the encoder's interface: their features, their order of layers, their stochastic depth."""

import pytest
import timm
import torch

from caebench.models.pyramid import PyramidEncoder, final_map
from caebench.models.timm_encoder import TimmEncoder, known_model, where_published

TOKENS = ("test_vit", "test_vit2", "test_vit_relpos")  # a class token; a register; neither
MAPS = ("test_convnext", "test_efficientnet", "test_resnet")
ROTARY = "vit_tiny_patch16_dinov3_qkvb"


def pair(name, **options):
    """An encoder, and timm's network of the same weights."""
    torch.manual_seed(0)
    network = timm.create_model(name, pretrained=False, num_classes=0).eval()
    encoder = TimmEncoder(name, **options).eval()
    state = network.state_dict()
    is_apart = {key: encoder.has_tokens and key.startswith("norm.") for key in state}
    encoder.load_state_dict({key if is_apart[key] else f"network.{key}": tensor for key, tensor in state.items()})
    return encoder, network


def as_tokens(features):
    return features if features.ndim == 3 else features.flatten(2).mT


@torch.no_grad()
@pytest.mark.parametrize("name", [*TOKENS, *MAPS, ROTARY])
def test_tokens_are_those_of_timms_features(name):
    encoder, network = pair(name)
    images = torch.rand(2, 3, encoder.image_size, encoder.image_size)
    tokens, expected = encoder(images), as_tokens(network.forward_features(images))
    torch.testing.assert_close(tokens, expected, rtol=0, atol=1e-5)
    assert tokens.shape == (2, encoder.num_prefix + encoder.num_patches, encoder.variant.dim)
    assert final_map(encoder, images).shape == (2, encoder.variant.dim, encoder.grid, encoder.grid)


def test_prefix_tokens_are_told_apart():
    sizes = {name: TimmEncoder(name) for name in (*TOKENS, "test_convnext", ROTARY)}
    found = {name: (e.architecture.class_token, e.architecture.num_registers, e.features) for name, e in sizes.items()}
    every, mean = ("cls", "mean", "last4"), ("mean",)
    assert found == {
        "test_vit": (True, 0, every),
        "test_vit2": (False, 1, mean),
        "test_vit_relpos": (False, 0, mean),
        "test_convnext": (False, 0, mean),
        ROTARY: (True, 4, every),
    }
    assert sizes["test_vit"].variant == (64, 6, 2, 16)
    assert sizes["test_convnext"].variant.patch_size == 32


@torch.no_grad()
@pytest.mark.parametrize("name", ["test_vit", ROTARY, "test_convnext"])
def test_images_of_another_size_are_taken(name):
    encoder, network = pair(name)
    encoder.resize(96)
    images = torch.rand(1, 3, 96, 96)
    assert encoder(images).shape == (1, encoder.num_prefix + encoder.num_patches, encoder.variant.dim)
    if name == "test_convnext":
        torch.testing.assert_close(encoder(images), as_tokens(network.forward_features(images)), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["test_vit", "test_convnext"])
def test_stochastic_depth_follows_the_samples_numbers(name):
    encoder, _ = pair(name, drop_path=0.5)
    images = torch.rand(2, 3, 160, 160)
    uniforms = torch.rand(2, encoder.num_drop_path_uniforms, generator=torch.Generator().manual_seed(0))
    assert encoder.num_drop_path_uniforms > 0
    first, again = (encoder.train()(images, drop_path_uniforms=uniforms) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, encoder(images))
    torch.testing.assert_close(encoder(images[:1], drop_path_uniforms=uniforms[:1]), first[:1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", [*TOKENS, *MAPS])
def test_every_trained_parameter_is_in_one_group_and_later_layers_learn_faster(name):
    encoder = TimmEncoder(name)
    groups = encoder.layer_groups(0.5)
    grouped = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in encoder.parameters() if p.requires_grad)
    scales = {group["lr_scale"] for group in groups}
    assert max(scales) in (0.5, 1.0) and min(scales) < 0.5  # a final norm, where there is one, is in the last layer


@pytest.mark.parametrize("name", ["test_vit", "test_convnext"])
def test_it_is_a_backbone_of_dense_tasks(name):
    encoder = TimmEncoder(name)
    maps = PyramidEncoder(encoder, torch.nn.BatchNorm2d)(torch.rand(1, 3, 160, 192))
    stride = encoder.variant.patch_size
    assert [tuple(one.shape[2:]) for one in maps] == [
        (4 * 160 // stride, 4 * 192 // stride),
        (2 * 160 // stride, 2 * 192 // stride),
        (160 // stride, 192 // stride),
        (160 // stride // 2, 192 // stride // 2),
    ]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("vit_bse_patch16_224", r"no such model\. Did you mean 'vit_base_patch16_224'"),
        ("test_vit.r160_in2k", r"have the tag 'r160_in2k'.*Known: r160_in1k"),
        ("", "no such model"),
    ],
)
def test_a_model_that_timm_does_not_have_is_refused(name, said):
    with pytest.raises(ValueError, match=said):
        known_model(name)


def test_it_says_where_weights_are_published():
    found = where_published("vit_base_patch14_dinov2")
    assert "dinov2_vitb14_pretrain.pth" in found and "timm/vit_base_patch14_dinov2.lvd142m" in found
