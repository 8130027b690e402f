"""`ckpt verify`: a whole encoder passes; a damaged one is told from it by the check that it fails."""

import json

import pytest
import torch

from caebench.config.stage import ENCODER
from caebench.config.variants import Variant
from caebench.models.checkpoint import save_encoder
from caebench.models.vit import Encoder
from caebench.tasks.imported import MAPPING
from caebench.tasks.verification import neighbours, ridge, target, verify


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return Encoder(Variant(32, 2, 4, 8), 32, relative_position_bias="shared", positions="none", init="truncated_normal")


def states(folder):
    return {check.what: (check.state, check.found) for check in verify(folder, None, "cpu")}


def test_a_whole_encoder_passes_and_says_what_was_not_tried(encoder, tmp_path):
    save_encoder(encoder, tmp_path / ENCODER)
    found = states(tmp_path)
    assert [state for state, _ in found.values()] == ["ok", "ok", "ok", "ok", "skipped"]
    assert "no data set at hand" in found["k-NN and linear"][1]


def write_mapping(encoder, folder, **changes):
    names = [name for name in encoder.state_dict() if name not in ("pos_embed", "relative_position_biases.0.table")]
    fused = {f"x.{name}": name for name in names if "qkv.bias" not in name}
    parts = {f"x.{n}.{p}": n.replace("qkv.bias", f"{p}_bias") for n in names if "qkv.bias" in n for p in "qv"}
    mapped = {**fused, **parts, "table": "shared_position_bias.table", **changes}
    record = {"mapped": {k: v for k, v in mapped.items() if v}, "left": {"head.weight": "a head"}}
    (folder / MAPPING).write_text(json.dumps(record), encoding="utf8")


def test_every_name_of_an_imported_file_went_somewhere(encoder, tmp_path):
    save_encoder(encoder, tmp_path / ENCODER)
    write_mapping(encoder, tmp_path)
    assert states(tmp_path)["key coverage"][0] == "ok"
    write_mapping(encoder, tmp_path, **{"x.norm.weight": None})
    assert "norm.weight" in states(tmp_path)["key coverage"][1]
    write_mapping(encoder, tmp_path, more="blocks.7.norm1.bias")
    assert states(tmp_path)["key coverage"] == ("bad", "1 tensors without a source or a target: blocks.7.norm1.bias")


def test_it_says_the_pixels_and_where_they_were_learnt_from(encoder, tmp_path):
    save_encoder(encoder, tmp_path / ENCODER)
    assert states(tmp_path)["pixels"] == ("ok", "imagenet: trained here")
    told = {"mapped": {}, "left": {}, "pixel_stats": "imagenet", "pixel_source": "the family MAE"}
    (tmp_path / MAPPING).write_text(json.dumps(told), encoding="utf8")
    assert states(tmp_path)["pixels"] == ("ok", "imagenet: the family MAE")
    (tmp_path / MAPPING).write_text(json.dumps({**told, "pixel_stats": "clip"}), encoding="utf8")
    assert states(tmp_path)["pixels"] == ("bad", "the encoder file says imagenet, and the import was told clip")


@pytest.mark.parametrize(
    ("ours", "tensor"),
    [
        ("blocks.0.attn.q_bias", "blocks.0.attn.qkv.bias"),
        ("blocks.0.attn.k.weight", "blocks.0.attn.qkv.weight"),
        ("blocks.0.attn.qkv.weight", "blocks.0.attn.qkv.weight"),
        ("blocks.0.mlp.fc1.bias", "blocks.0.mlp.fc1.bias"),
    ],
)
def test_parts_of_one_tensor_are_that_tensor(ours, tensor):
    assert target(ours) == tensor


def test_nan_stops_the_checks(encoder, tmp_path):
    with torch.no_grad():
        encoder.norm.bias[3] = float("nan")
    save_encoder(encoder, tmp_path / ENCODER)
    found = states(tmp_path)
    assert found["finite values"] == ("bad", "NaN or Inf in norm.bias")
    assert len(found) == 3


def test_one_output_for_all_images_is_a_broken_encoder(encoder, tmp_path):
    with torch.no_grad():
        encoder.norm.weight.zero_()
        encoder.norm.bias.fill_(1.0)
    save_encoder(encoder, tmp_path / ENCODER)
    assert states(tmp_path)["features"][0] == "bad"


@pytest.mark.parametrize("classify", [neighbours, ridge])
def test_classes_that_lie_apart_are_told_apart(classify):
    torch.manual_seed(0)
    centres = 5.0 * torch.randn(4, 16)
    labels = torch.arange(4).repeat_interleave(6) * 3 + 2  # not 0, 1, 2
    bank, queries = (centres.repeat_interleave(6, dim=0) + torch.randn(24, 16) for _ in range(2))
    assert torch.equal(classify(bank, labels, queries), labels)
    chance = (classify(torch.randn(24, 16), labels, queries) == labels).double().mean()
    assert chance < 0.8
