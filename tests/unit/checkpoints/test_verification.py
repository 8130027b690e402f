"""`ckpt verify`, of the file: a whole encoder passes; a damaged one is told from it by the check that it fails."""

import json

import pytest
import torch

from caebench.checkpoints.encoder_file import read_encoder, save_encoder
from caebench.checkpoints.importing import read_record
from caebench.checkpoints.verification import check_file, target
from caebench.files.layout import ENCODER, MAPPING
from caebench.models.vit import Encoder
from caebench.specs.variants import Variant


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return Encoder(Variant(32, 2, 4, 8), 32, relative_position_bias="shared", positions="none", init="truncated_normal")


def states(folder):
    encoder = read_encoder(folder / ENCODER).eval().requires_grad_(False)
    return {check.what: (check.state, check.found) for check in check_file(encoder, read_record(folder))}


def write_mapping(encoder, folder, **changes):
    names = [name for name in encoder.state_dict() if name not in ("pos_embed", "relative_position_biases.0.table")]
    fused = {f"x.{name}": name for name in names if "qkv.bias" not in name}
    parts = {f"x.{n}.{p}": n.replace("qkv.bias", f"{p}_bias") for n in names if "qkv.bias" in n for p in "qv"}
    mapped = {**fused, **parts, "table": "shared_position_bias.table", **changes}
    record = {"mapped": {k: v for k, v in mapped.items() if v}, "unused_keys": {"head.weight": "a head"}}
    (folder / MAPPING).write_text(json.dumps(record), encoding="utf8")


def test_every_name_of_an_imported_file_went_somewhere(encoder, tmp_path):
    save_encoder(encoder, tmp_path / ENCODER)
    write_mapping(encoder, tmp_path)
    state, found = states(tmp_path)["key coverage"]
    assert state == "ok" and found.endswith("1 unused keys have a reason")
    write_mapping(encoder, tmp_path, **{"x.norm.weight": None})
    assert "norm.weight" in states(tmp_path)["key coverage"][1]
    write_mapping(encoder, tmp_path, more="blocks.7.norm1.bias")
    assert states(tmp_path)["key coverage"] == ("bad", "1 tensors without a source or a target: blocks.7.norm1.bias")


def test_it_says_the_pixels_and_where_they_were_learnt_from(encoder, tmp_path):
    save_encoder(encoder, tmp_path / ENCODER)
    assert states(tmp_path)["pixels"] == ("ok", "imagenet: trained here")
    told = {"mapped": {}, "unused_keys": {}, "pixel_stats": "imagenet", "pixel_source": "the family MAE"}
    (tmp_path / MAPPING).write_text(json.dumps(told), encoding="utf8")
    assert states(tmp_path)["pixels"] == ("ok", "imagenet: the family MAE")
    (tmp_path / MAPPING).write_text(json.dumps({**told, "pixel_stats": "clip"}), encoding="utf8")
    assert states(tmp_path)["pixels"] == ("bad", "the encoder file says imagenet, but the import recorded clip")


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


def test_a_record_of_before_is_read_too(encoder, tmp_path):
    """Its unused keys are called `left`."""
    save_encoder(encoder, tmp_path / ENCODER)
    (tmp_path / MAPPING).write_text(json.dumps({"mapped": {}, "left": {"head.weight": "a head"}}), encoding="utf8")
    assert read_record(tmp_path) == {"mapped": {}, "unused_keys": {"head.weight": "a head"}}
    assert states(tmp_path)["pixels"] == ("ok", "imagenet: imported before they were recorded")


@pytest.mark.parametrize("text", ["no json", "[]"])
def test_a_damaged_record_is_named(tmp_path, text):
    (tmp_path / MAPPING).write_text(text, encoding="utf8")
    with pytest.raises(
        ValueError, match=r"mapping\.json: damaged \(.*\)\. Delete the job\'s folder and import the file again\."
    ):
        read_record(tmp_path)


@pytest.mark.parametrize("record", [{"a": 1}, {"mapped": []}, {"mapped": {}, "unused_keys": 3}])
def test_a_record_of_another_form_is_named(tmp_path, record):
    (tmp_path / MAPPING).write_text(json.dumps(record), encoding="utf8")
    with pytest.raises(ValueError, match=r"mapping\.json: damaged \(.*\)\. Delete the job's folder"):
        read_record(tmp_path)
