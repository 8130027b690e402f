"""DINOv2, I-JEPA, CLIP, SigLIP and CAE v2 in their projects' own layouts, at other sizes than the reference files.

Tokens are compared with timm's networks of the same weights. Names are those of the projects' sources.
"""

import json

import pytest
import torch
from safetensors.torch import save_file

from caebench.checkpoints import load_encoder
from caebench.checkpoints.inspection import inspect
from caebench.specs.family import PARITY
from tests.unit.checkpoints.layouts import beit, make, without_key_biases
from tests.unit.checkpoints.layouts_of_today import (
    cae_v2,
    clip,
    dinov2,
    dinov2_registers,
    dinov2_swiglu,
    hugging_face_dinov2,
    ijepa,
    openai_clip,
    released_dinov2,
    released_ijepa,
    siglip,
)

IMAGES = torch.rand(2, 3, 84, 84, generator=torch.Generator().manual_seed(5))
OPENAI = {"input_resolution": torch.tensor(84), "context_length": torch.tensor(77), "vocab_size": torch.tensor(10)}
GELU = {"model_cfg": {"vision_cfg": {"image_size": 84, "layers": 3, "width": 64, "patch_size": 14, "head_width": 16}}}
FILES = {  # what -> family, network, content, what is said of it beside
    "dinov2": lambda: ("dinov2", m := dinov2(), released_dinov2(m)),
    "dinov2, one chunk": lambda: ("dinov2", m := dinov2(), released_dinov2(m, 1)),
    "dinov2, three chunks": lambda: ("dinov2", m := dinov2(), released_dinov2(m, 3)),
    "dinov2, registers": lambda: ("dinov2", m := dinov2_registers(), released_dinov2(m, 1)),
    "dinov2, SwiGLU": lambda: ("dinov2", m := dinov2_swiglu(), released_dinov2(m, 1)),
    "dinov2, SwiGLU and registers": lambda: (
        "dinov2",
        m := dinov2_swiglu(reg_tokens=2, no_embed_class=True),
        released_dinov2(m),
    ),
    "dinov2, training file": lambda: (
        "dinov2",
        m := dinov2(),
        {
            "teacher": {f"backbone.{n}": t for n, t in released_dinov2(m, 1).items()}
            | {"dino_head.mlp.0.weight": torch.ones(2, 2), "ibot_head.last_layer.weight_v": torch.ones(2, 2)}
        },
    ),
    "dinov2, hub, SwiGLU": lambda: ("dinov2", m := dinov2_swiglu(), hugging_face_dinov2(m)),
    "ijepa": lambda: ("ijepa", m := ijepa(), released_ijepa(m)),
    "clip, OpenAI": lambda: ("clip", m := clip(), {**openai_clip(m), **OPENAI}),
    "siglip": lambda: ("siglip", m := siglip(), m.state_dict()),
    "siglip, open_clip": lambda: (
        "siglip",
        m := siglip(),
        {f"visual.trunk.{n}": t for n, t in m.state_dict().items()}
        | {
            "text.token_embedding.weight": torch.ones(3, 3),
            "logit_bias": torch.ones(()),
            "logit_scale": torch.ones(()),
        },
    ),
}


def save(content, folder, name="x.pth"):
    torch.save(content, folder / name)
    return folder / name


def tokens_of(model):
    """timm's tokens; it puts CLIP's final norm on all of them, where CLIP has it on the class token alone."""
    if isinstance(model.norm_pre, torch.nn.LayerNorm):
        model.norm = torch.nn.Identity()
    return model.forward_features(IMAGES)


QUICK = ("dinov2, registers", "clip, OpenAI")  # each key of the others is left out in the slow part
SOME = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in FILES]


@pytest.mark.parametrize("what", FILES)
def test_a_projects_own_file_gives_the_tokens_of_timms_network(what, tmp_path):
    family, model, content = FILES[what]()
    encoder = load_encoder(save(content, tmp_path), num_heads=4)
    assert encoder.report.family == family
    with torch.no_grad():
        found, expected = encoder(IMAGES), tokens_of(model)
    assert found.shape == (2, encoder.num_prefix + 36, 64)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)
    assert encoder.report.variant == (64, 3, 4, 14) and encoder.image_size == 84


@pytest.mark.parametrize("what", FILES)
def test_every_key_is_used_or_has_a_reason(what, tmp_path):
    _, _, content = FILES[what]()
    report = load_encoder(save(content, tmp_path), num_heads=4).report
    read = content.get("teacher", content.get("target_encoder", content))
    known = {*report.mapped, *(name for name in report.unused_keys if not name.endswith("/"))}
    assert known == {name.removeprefix("module.") for name in read}
    assert not report.mapped.keys() & report.unused_keys.keys()


@pytest.mark.parametrize("what", FILES)
def test_its_parity_is_said_to_be_unverified(what, tmp_path):
    _, _, content = FILES[what]()
    assert inspect(save(content, tmp_path), num_heads=4)["parity"] == PARITY["source"]


@pytest.mark.parametrize("what", SOME)
def test_a_missing_or_unexpected_tensor_is_refused(what, tmp_path):
    _, _, content = FILES[what]()
    chosen = content.get("teacher", content.get("target_encoder", content))
    optional = ("register_tokens", "cls_token")  # without them it may be another encoder
    report = load_encoder(save(content, tmp_path), num_heads=4).report
    for name in [name for name in chosen if name.removeprefix("module.") in report.mapped]:
        if name.endswith(optional) or (".0." in name and "resblocks" not in name and ".blocks" not in name):
            continue
        tensor = chosen.pop(name)
        with pytest.raises(ValueError, match=r"x\.pth"):
            load_encoder(save(content, tmp_path), num_heads=4)
        chosen[name] = tensor
    first = next(
        name for name in chosen if name.endswith("patch_embed.proj.weight") or "conv1" in name or "patch" in name
    )
    chosen[first.replace("weight", "scale").replace("bias", "scale")] = torch.ones(3)
    with pytest.raises(ValueError, match=r"x\.pth"):
        load_encoder(save(content, tmp_path), num_heads=4)


@pytest.mark.parametrize("activation", ["gelu", "quick_gelu"])
def test_open_clips_config_says_the_activation_and_the_heads(activation, tmp_path):
    model = clip(activation)
    path = save(openai_clip(model), tmp_path, "open_clip_pytorch_model.bin")
    config = {**GELU, "model_cfg": {**GELU["model_cfg"], **({"quick_gelu": True} if activation != "gelu" else {})}}
    config["preprocess_cfg"] = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config), encoding="utf8")
    encoder = load_encoder(path)
    assert encoder.report.pixels.stats == "inception"
    with torch.no_grad():
        torch.testing.assert_close(encoder(IMAGES), tokens_of(model), rtol=0, atol=2e-5)


def test_the_activation_of_a_bare_clip_file_must_be_given(tmp_path):
    model = clip("gelu")
    path = save(openai_clip(model), tmp_path)
    with pytest.raises(
        ValueError, match=r"activation: encoders of CLIP's vision tower have different ones.*--activation"
    ):
        load_encoder(path, num_heads=4)
    assert "--activation" in inspect(path, num_heads=4)["problems"][0]
    with torch.no_grad():
        found = load_encoder(path, num_heads=4, activation="gelu")(IMAGES)
    torch.testing.assert_close(found, tokens_of(model), rtol=0, atol=2e-5)


def test_an_activation_that_the_file_contradicts_or_nobody_knows_is_refused(tmp_path):
    path = save({**openai_clip(clip()), **OPENAI}, tmp_path)
    with pytest.raises(ValueError, match="CLIP's vision tower says quick_gelu, --activation says gelu"):
        load_encoder(path, num_heads=4, activation="gelu")
    with pytest.raises(ValueError, match=r"--activation 'gelo': unknown\. Did you mean 'gelu'"):
        load_encoder(path, num_heads=4, activation="gelo")


def test_a_text_tower_alone_is_named_as_such(tmp_path):
    state = {name: tensor for name, tensor in openai_clip(clip()).items() if not name.startswith("visual.")}
    with pytest.raises(ValueError, match=r"no family fits\. It is a text tower: it has no image encoder"):
        load_encoder(save(state, tmp_path))
    hub = {
        "text_model.embeddings.token_embedding.weight": torch.ones(10, 32),
        "text_projection.weight": torch.ones(2, 2),
    }
    save_file(hub, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="text tower"):
        load_encoder(tmp_path / "model.safetensors")


def test_cae_v2_is_told_from_cae_by_its_decoder(tmp_path):
    plain = without_key_biases(make())
    images = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(5))
    content = cae_v2(beit(plain))
    encoder = load_encoder(save(content, tmp_path), num_heads=3)
    assert (encoder.report.family, encoder.report.pixels.stats) == ("cae_v2", "imagenet")
    torch.testing.assert_close(encoder(images), plain(images), rtol=0, atol=1e-5)
    content["model"]["decoder.decoder_blocks.0.norm1.weight"] = torch.ones(48)
    assert load_encoder(save(content, tmp_path), num_heads=3).report.family == "cae"
    bare = {"model": {name: t for name, t in content["model"].items() if name.startswith("encoder.")}}
    assert load_encoder(save(bare, tmp_path), num_heads=3).report.family == "cae"
    assert load_encoder(save(bare, tmp_path), num_heads=3, family="cae_v2").report.family == "cae_v2"


@pytest.mark.parametrize("what", ["dinov2, registers", "ijepa", "siglip", "clip, OpenAI"])
def test_positions_follow_the_images(what, tmp_path):
    """As timm resamples them; prefix tokens keep theirs."""
    _, model, content = FILES[what]()
    encoder = load_encoder(save(content, tmp_path), num_heads=4)
    model.set_input_size(img_size=(112, 56))
    images = torch.rand(1, 3, 112, 56)
    if isinstance(model.norm_pre, torch.nn.LayerNorm):
        model.norm = torch.nn.Identity()
    with torch.no_grad():
        torch.testing.assert_close(encoder(images), model.forward_features(images), rtol=0, atol=5e-5)


def test_the_weights_without_gradient_are_those_of_the_average_encoder(tmp_path):
    report = load_encoder(save(released_ijepa(ijepa()), tmp_path), num_heads=4).report
    assert report.entry == "target_encoder"
    assert "target encoder, is evaluated" in report.unused_keys["encoder/"]
    assert report.unused_keys["predictor/"] == "the predictor of pretraining"
