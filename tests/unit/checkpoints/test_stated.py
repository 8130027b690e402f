"""A hub's config next to the weights: what it says is taken, what it contradicts is refused in one line."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from caebench.checkpoints import load_encoder
from caebench.checkpoints.inspection import inspect
from caebench.checkpoints.stated import read_stated
from caebench.specs.families import BY_NAME
from tests.unit.checkpoints.layouts import hugging_face, make

HUB = Path(__file__).parents[2] / "golden" / "encoders_hf"


def folder_with(tmp_path, name, **changes):
    """A reference's folder with a changed config; None takes a key away."""
    shutil.copy(HUB / name / "model.safetensors", tmp_path)
    config = {**json.loads((HUB / name / "config.json").read_text(encoding="utf8")), **changes}
    text = json.dumps({key: value for key, value in config.items() if value is not None})
    (tmp_path / "config.json").write_text(text, encoding="utf8")
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hidden_size": 64}, "says width 64, but model.safetensors has 48"),
        ({"num_hidden_layers": 12}, "says blocks 12, but model.safetensors has 2"),
        ({"patch_size": 14}, "says patch size 14, but model.safetensors has 16"),
        ({"image_size": 224}, "says image size 224, but model.safetensors has 96"),
        ({"num_register_tokens": 8}, "says registers 8, but model.safetensors has 4"),
        ({"model_type": "clip_vision_model"}, "model_type 'clip_vision_model' is CLIP's vision tower's"),
        ({"hidden_act": "tanh"}, "hidden_act 'tanh' is none of gelu, quick_gelu"),
        ({"layer_norm_eps": "small"}, "layer_norm_eps 'small' is not a number"),
        ({"num_attention_heads": 0}, "num_attention_heads 0 is not a whole number above 0"),
        ({"num_attention_heads": 5}, "num_heads 5: does not divide the width 48"),
    ],
)
def test_a_config_that_contradicts_the_weights_is_refused(tmp_path, changes, said):
    path = folder_with(tmp_path, "dinov2_registers", **changes)
    with pytest.raises(ValueError, match=said) as caught:
        load_encoder(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["{", "[1, 2]", '"x"', "\ufeff{}", "null"])
def test_a_config_that_is_no_table_is_refused(tmp_path, text):
    path = folder_with(tmp_path, "dinov2")
    (tmp_path / "config.json").write_text(text, encoding="utf8")
    with pytest.raises(ValueError, match=r"config\.json: ") as caught:
        load_encoder(path)
    assert "\n" not in str(caught.value)


def test_heads_that_contradict_the_config_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"num_heads 4, and .*config\.json says 3\. Leave --num-heads out"):
        load_encoder(folder_with(tmp_path, "dinov2"), num_heads=4)


def test_what_a_config_leaves_out_is_transformers_default(tmp_path):
    """CLIP: quick GELU; I-JEPA: 1e-12, although the released configs say 1e-6."""
    path = folder_with(tmp_path, "clip_vision", hidden_act=None, layer_norm_eps=None)
    encoder = load_encoder(path)
    assert (encoder.architecture.activation, encoder.norm_eps) == ("quick_gelu", 1e-5)
    (tmp_path / "other").mkdir()
    assert load_encoder(folder_with(tmp_path / "other", "ijepa", layer_norm_eps=None)).norm_eps == 1e-12


def test_the_config_of_a_pair_of_towers_has_the_vision_towers(tmp_path):
    path = folder_with(tmp_path, "siglip_vision")
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf8"))
    tower = {"num_attention_heads": config["num_attention_heads"]}
    whole = {"model_type": "siglip", "hidden_size": 7, "vision_config": tower}
    (tmp_path / "config.json").write_text(json.dumps(whole), encoding="utf8")
    encoder = load_encoder(path)
    assert (encoder.variant.num_heads, encoder.architecture.activation, encoder.norm_eps) == (3, "gelu_tanh", 1e-6)


def test_without_a_config_the_familys_are_taken_and_heads_asked_for(tmp_path):
    for name in ("dinov2", "dinov2_registers", "siglip_vision"):
        (tmp_path / name).mkdir()
        path = tmp_path / name / "model.safetensors"
        shutil.copy(HUB / name / "model.safetensors", path)
        with pytest.raises(ValueError, match=r"num_heads: .* has no model of width 48"):
            load_encoder(path)
        expected = load_file(HUB / f"{name}.expected.safetensors")["tokens"]
        with torch.no_grad():
            tokens = load_encoder(path, num_heads=3)(load_file(HUB / "images.safetensors")["images"])
        torch.testing.assert_close(tokens, expected, rtol=0, atol=2e-5)


def test_the_config_of_other_weights_in_the_folder_is_not_read(tmp_path):
    path = folder_with(tmp_path, "dinov2", hidden_size=64)
    other = path.rename(tmp_path / "mine.safetensors")
    with pytest.raises(ValueError, match="says width 64"):
        load_encoder(other, num_heads=3)
    save_file({"x": torch.ones(1)}, tmp_path / "more.safetensors")
    assert load_encoder(other, num_heads=3).variant.dim == 48


def test_a_config_of_timms_says_nothing_here(tmp_path):
    save_file(hugging_face(make(positions="learnt", layer_scale=None)), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "vit_base_patch16_224"}), encoding="utf8")
    assert load_encoder(tmp_path / "model.safetensors", num_heads=3).norm_eps == 1e-12


def test_epsilon_and_activation_of_a_config_are_reported(tmp_path):
    found = inspect(folder_with(tmp_path, "vit", layer_norm_eps=1e-6, hidden_act="gelu_new"))
    assert (found["norm_eps"], found["activation"], found["num_heads"]) == (1e-6, "gelu_tanh", 3)
    assert found["architecture"] == {"activation": "gelu_tanh"}


@pytest.mark.parametrize("name", ["ijepa", "dinov2", "clip_vision", "siglip_vision"])
def test_a_preprocessors_pixels_win_over_the_familys(tmp_path, name):
    path = folder_with(tmp_path, name)
    stats = {"image_mean": [0.4, 0.4, 0.4], "image_std": [0.2, 0.2, 0.2]}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(stats), encoding="utf8")
    assert load_encoder(path).report.pixels.stats == "0.4,0.4,0.4/0.2,0.2,0.2"
    with pytest.raises(ValueError, match="--pixel-stats imagenet"):
        load_encoder(path, pixel_stats="imagenet")


UNREADABLE = [
    '{"model_type": "vit", "x": ' + "[" * 99_999,
    '{"model_type": "vit", "layer_norm_eps": 1' + "0" * 400 + "}",
]


@pytest.mark.parametrize("content", UNREADABLE, ids=["deep", "large"])
def test_a_config_that_no_number_or_reader_can_hold_is_named(tmp_path, content):
    (tmp_path / "config.json").write_text(content, encoding="utf8")
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ValueError, match=r"config\.json: .* Give the config of model\.safetensors"):
        read_stated(tmp_path / "model.safetensors", BY_NAME["hf"])
