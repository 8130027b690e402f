"""Parity with Hugging Face transformers' own encoders: its code computed the tensors (tests/golden/README.md)."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from caebench.checkpoints import load_encoder
from caebench.checkpoints.encoder_file import read_encoder, save_encoder
from caebench.checkpoints.inspection import inspect

HERE = Path(__file__).parent / "encoders_hf"
FAMILIES = {  # reference -> family, tokens before the patches
    "beit_block": ("hf", 1),
    "beit_shared": ("hf", 1),
    "clip_vision": ("clip", 1),
    "data2vec": ("hf", 1),
    "dinov2": ("dinov2", 1),
    "dinov2_registers": ("dinov2", 5),
    "ijepa": ("ijepa", 0),
    "siglip_vision": ("siglip", 0),
    "vit": ("hf", 1),
}
PREFIXES = {  # as saved from a model with a head, or by transformers 4
    "beit_shared": "beit.",
    "clip_vision": "vision_model.",
    "dinov2": "dinov2.",
    "dinov2_registers": "dinov2_with_registers.",
    "ijepa": "ijepa.",
    "siglip_vision": "vision_model.",
    "vit": "vit.",
}


@torch.no_grad()
def check_tokens(encoder, name):
    expected = load_file(HERE / f"{name}.expected.safetensors")
    tokens = encoder(load_file(HERE / "images.safetensors")["images"])
    assert tokens.shape == (2, FAMILIES[name][1] + 36, 48)
    torch.testing.assert_close(tokens, expected["tokens"], rtol=0, atol=2e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_hubs_folder_gives_the_tokens_of_transformers(name):
    encoder = load_encoder(HERE / name / "model.safetensors")  # heads and activation are in its config.json
    assert encoder.report.family == FAMILIES[name][0]
    keys = load_file(HERE / name / "model.safetensors").keys()
    assert keys == encoder.report.mapped.keys() | encoder.report.unused_keys.keys()
    check_tokens(encoder, name)


@pytest.mark.parametrize("name", PREFIXES)
def test_a_prefix_of_the_model_changes_nothing(name, tmp_path):
    state = load_file(HERE / name / "model.safetensors")
    save_file({PREFIXES[name] + key: tensor for key, tensor in state.items()}, tmp_path / "model.safetensors")
    shutil.copy(HERE / name / "config.json", tmp_path)
    check_tokens(load_encoder(tmp_path / "model.safetensors"), name)


@pytest.mark.parametrize("name", FAMILIES)
def test_our_own_file_of_it_gives_them_too(name, tmp_path):
    pixel_stats = "imagenet" if FAMILIES[name][0] == "hf" else None
    encoder = load_encoder(HERE / name / "model.safetensors", pixel_stats=pixel_stats)
    save_encoder(encoder, tmp_path / "encoder.safetensors")
    again = read_encoder(tmp_path / "encoder.safetensors").eval()
    assert (again.architecture, again.norm_eps, again.pixel_stats) == (
        encoder.architecture,
        encoder.norm_eps,
        encoder.pixel_stats,
    )
    check_tokens(again, name)
    check_tokens(load_encoder(tmp_path / "encoder.safetensors"), name)


@pytest.mark.parametrize("name", FAMILIES)
def test_inspect_says_that_it_was_tested(name):
    found = inspect(HERE / name / "model.safetensors")
    assert found["parity"] == "tokens within 2e-5 of transformers 5.24, a test"
    assert found["problems"] == []
    assert found["features"] == (["mean"] if name in ("ijepa", "siglip_vision") else ["cls", "mean", "last4"])


def test_both_towers_of_clip_are_told_apart(tmp_path):
    state = {f"vision_model.{key}": tensor for key, tensor in load_file(HERE / "clip_vision/model.safetensors").items()}
    text = {
        "text_model.embeddings.position_embedding.weight": torch.ones(77, 32),
        "text_model.embeddings.token_embedding.weight": torch.ones(10, 32),
        "text_model.encoder.layers.0.layer_norm1.weight": torch.ones(32),
        "logit_scale": torch.ones(()),
        "visual_projection.weight": torch.ones(32, 48),
        "text_projection.weight": torch.ones(32, 32),
    }
    save_file({**state, **text}, tmp_path / "model.safetensors")
    config = json.loads((HERE / "clip_vision/config.json").read_text(encoding="utf8"))
    whole = {"model_type": "clip", "vision_config": config, "text_config": {"hidden_size": 32}}
    (tmp_path / "config.json").write_text(json.dumps(whole), encoding="utf8")
    encoder = load_encoder(tmp_path / "model.safetensors")
    assert encoder.report.unused_keys.keys() == text.keys()
    check_tokens(encoder, "clip_vision")


def test_clips_class_feature_goes_through_the_final_norm_and_its_tokens_do_not():
    encoder = load_encoder(HERE / "clip_vision" / "model.safetensors")
    tokens = load_file(HERE / "clip_vision.expected.safetensors")["tokens"]
    outputs = encoder.outputs(tokens)
    torch.testing.assert_close(outputs.class_token[:, 0], encoder.norm(tokens[:, 0]), rtol=0, atol=1e-6)
    assert torch.equal(outputs.patches, tokens[:, 1:])


def test_registers_are_no_patches():
    encoder = load_encoder(HERE / "dinov2_registers" / "model.safetensors")
    expected = load_file(HERE / "dinov2_registers.expected.safetensors")["tokens"]
    assert torch.equal(encoder.patches(expected), expected[:, 5:])
    outputs = encoder.outputs(expected, norm=False)
    assert torch.equal(outputs.class_token, expected[:, :1])
    assert torch.equal(outputs.patches, expected[:, 5:])


def test_every_reference_is_tested():
    assert sorted(path.name for path in HERE.iterdir() if path.is_dir()) == sorted(FAMILIES)
