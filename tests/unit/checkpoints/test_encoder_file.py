"""The encoder file: what it holds, what comes back, and comparing it with what a model has."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from caebench.checkpoints.encoder_file import misfits, read_encoder, save_encoder, stats_of
from caebench.files.layout import ENCODER
from caebench.models.vit import Encoder
from caebench.specs.pixel_stats import IMAGENET, parse_stats
from caebench.specs.variants import Variant


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


def test_it_says_the_pixels_that_it_was_trained_on(tmp_path):
    save_encoder(make(), tmp_path / ENCODER)
    read = read_encoder(tmp_path / ENCODER)
    assert stats_of(read) == IMAGENET == stats_of(make()), "what is pretrained here"
    for name in ("clip", "0.31,0.42,0.57/0.21,0.33,0.47"):
        read.pixel_stats = parse_stats(name)
        save_encoder(read, tmp_path / ENCODER)
        read = read_encoder(tmp_path / ENCODER)
        assert stats_of(read) == parse_stats(name)


def test_a_file_that_is_older_than_the_note_is_imagenets(tmp_path):
    save_encoder(make(), tmp_path / ENCODER)
    with safe_open(tmp_path / ENCODER, "pt") as file:
        sizes = json.loads(file.metadata()["encoder"])
    assert sizes.pop("pixel_stats") == "imagenet"
    save_file(load_file(tmp_path / ENCODER), tmp_path / ENCODER, metadata={"encoder": json.dumps(sizes)})
    assert stats_of(read_encoder(tmp_path / ENCODER)) == IMAGENET


def test_what_nothing_says_is_not_guessed(tmp_path):
    save_encoder(make(), tmp_path / ENCODER)
    read = read_encoder(tmp_path / ENCODER)
    read.pixel_stats = None
    with pytest.raises(ValueError, match=r"unknown how .* Give one of imagenet, inception, clip"):
        save_encoder(read, tmp_path / ENCODER)


def make(**options):
    torch.manual_seed(0)
    encoder = Encoder(Variant(32, 3, 4, 4), 16, **options)
    for bias in encoder.relative_position_biases:
        torch.nn.init.normal_(bias.table)
    return encoder.requires_grad_(False)
