"""An encoder in another layout: the other project's model takes it, and it comes back without loss."""

from pathlib import Path

import pytest
import torch
from timm.models.beit import Beit
from timm.models.vision_transformer import VisionTransformer

from caebench.checkpoints import load_encoder
from caebench.checkpoints.encoder_file import save_encoder
from caebench.checkpoints.export import LAYOUTS, export, export_file
from caebench.checkpoints.export_names import to_hf, to_mmpretrain, to_official_cae
from caebench.checkpoints.hub_configs import hf_config
from caebench.specs.families import FAMILIES as ROWS
from caebench.specs.variants import Variant
from tests.unit.checkpoints.layouts import beit, hugging_face, make, plain, without_key_biases

GOLDEN = Path(__file__).parents[2] / "golden" / "encoders"
FAMILIES = ["beit", "cae", "deit", "dino", "ibot", "mae", "moco_v3", "simmim"]
IMAGES = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(5))


def written(path):
    return path / "model.safetensors" if path.is_dir() else path


@pytest.mark.parametrize("to", LAYOUTS)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_goes_out_and_comes_back_bit_for_bit(family, to, tmp_path):
    encoder = load_encoder(GOLDEN / f"{family}.pth", num_heads=3)
    export(encoder, to, tmp_path / "out")
    again = load_encoder(written(tmp_path / "out"))  # the file says its heads
    assert again.state_dict().keys() == encoder.state_dict().keys()
    assert all(torch.equal(again.state_dict()[name], tensor) for name, tensor in encoder.state_dict().items())
    assert (again.positions, again.relative_position_bias) == (encoder.positions, encoder.relative_position_bias)
    assert torch.equal(again(IMAGES), encoder(IMAGES))


KINDS = {
    "plain": {"layer_scale": None, "positions": "learnt"},
    "layer scale": {"positions": "learnt"},
    "shared bias": {"positions": "none", "relative_position_bias": "shared"},
    "bias a block and positions": {"positions": "sincos", "relative_position_bias": "block"},
    "another epsilon": {"layer_scale": None, "norm_eps": 1e-12},
}


@pytest.mark.parametrize("to", LAYOUTS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_encoder_keeps_its_tokens(kind, to, tmp_path):
    """Biases of keys among them: where a layout has no place for them, softmax does not see that they are gone."""
    encoder = make(**KINDS[kind])
    notes = export(encoder, to, tmp_path / "out")
    again = load_encoder(written(tmp_path / "out"))
    assert again.variant == encoder.variant and again.norm_eps == encoder.norm_eps
    torch.testing.assert_close(again(IMAGES), encoder(IMAGES), rtol=0, atol=1e-5)
    lost = any("biases of keys are left out" in note for note in notes)
    assert lost != torch.equal(again.blocks[0].attn.qkv.bias, encoder.blocks[0].attn.qkv.bias)


@pytest.mark.parametrize("kind", KINDS)
def test_timms_models_load_what_is_written_for_them(kind, tmp_path):
    encoder = make(**{**KINDS[kind], "norm_eps": 1e-6})
    export(encoder, "timm", tmp_path / "x.safetensors")
    sizes = {"img_size": 96, "patch_size": 16, "embed_dim": 48, "depth": 2, "num_heads": 3, "num_classes": 0}
    scale = 0.1 if "blocks.0.ls1.gamma" in encoder.state_dict() else None
    if encoder.relative_position_bias == "none":
        model = VisionTransformer(**sizes, init_values=scale)
    else:
        bias = {"shared": "use_shared_rel_pos_bias", "block": "use_rel_pos_bias"}[encoder.relative_position_bias]
        positions = {"use_abs_pos_emb": encoder.positions != "none", bias: True}
        model = Beit(**sizes, init_values=scale, global_pool="token", **positions)
    from safetensors.torch import load_file

    model.load_state_dict(load_file(tmp_path / "x.safetensors"))
    torch.testing.assert_close(model.eval().forward_features(IMAGES), encoder(IMAGES), rtol=0, atol=2e-5)


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    assert [name for name, tensor in expected.items() if not torch.equal(found[name], tensor)] == []


def test_names_are_those_of_the_layouts_written_by_hand():
    encoder = without_key_biases(make())
    own = beit(encoder)
    own["cls_token"], own["pos_embed"] = encoder.cls_token, own["pos_embed"] - 0.25
    own["pos_embed"][:, 1:] = encoder.pos_embed
    own["pos_embed"][:, 0] = 0
    assert_same(to_official_cae(encoder)[0], {f"encoder.{name}": tensor for name, tensor in own.items()})
    vit = make(layer_scale=None, positions="learnt")
    assert_same(to_hf(vit)[0], hugging_face_without_class_position(vit))


def hugging_face_without_class_position(encoder):
    state = hugging_face(encoder, "")
    state["embeddings.cls_token"] = encoder.cls_token
    state["embeddings.position_embeddings"] = plain(encoder, 0.0)["pos_embed"]
    return state


def test_mmpretrains_names_are_those_of_its_network():
    """mmpretrain's VisionTransformer, and the FFN of mmcv in it."""
    found = {name.removeprefix("backbone.") for name in to_mmpretrain(make(positions="learnt"))[0]}
    layer = ["ln1", "ln2", "attn.qkv", "attn.proj", "ffn.layers.0.0", "ffn.layers.1"]
    layers = [f"layers.{n}.{name}.{kind}" for n in (0, 1) for name in layer for kind in ("weight", "bias")]
    scales = [f"layers.{n}.{name}.weight" for n in (0, 1) for name in ("attn.gamma1", "ffn.gamma2")]
    outer = ["cls_token", "pos_embed", "patch_embed.projection.weight", "patch_embed.projection.bias"]
    assert found == {*layers, *scales, *outer, "ln1.weight", "ln1.bias"}


def test_hugging_faces_config_says_which_bias_and_positions():
    shared = hf_config(make(positions="none", relative_position_bias="shared"))
    assert shared["model_type"] == "beit" and shared["use_shared_relative_position_bias"]
    assert not shared["use_absolute_position_embeddings"] and not shared["use_relative_position_bias"]
    vit = hf_config(make(Variant(32, 2, 4, 8), 32, layer_scale=None, norm_eps=1e-12))
    assert (vit["model_type"], vit["hidden_size"], vit["num_attention_heads"]) == ("vit", 32, 4)
    assert (vit["patch_size"], vit["image_size"], vit["layer_norm_eps"]) == (8, 32, 1e-12)


def test_nothing_is_written_over(tmp_path):
    (tmp_path / "out").write_text("mine", encoding="utf8")
    with pytest.raises(ValueError, match="already exists"):
        export(make(), "timm", tmp_path / "out")


NOTES = ["no json", "[]", "{}", '{"variant": [1, 2]}', '{"variant": ["a", 2, 3, 4], "layout": "hf"}']


@pytest.mark.parametrize("note", NOTES)
def test_a_note_that_cannot_be_is_refused(tmp_path, note):
    torch.save({"model": plain(make()), "caebench": note}, tmp_path / "x.pth")
    with pytest.raises(ValueError, match="its note 'caebench' cannot be read"):
        load_encoder(tmp_path / "x.pth", num_heads=3)


def test_every_layout_is_noted_in_the_row_of_the_family_that_reads_it_back():
    assert set(LAYOUTS) == {row.noted_as for row in ROWS} - {None, "encoder"}


def test_a_file_is_named_after_its_job_where_no_output_is_given(tmp_path, monkeypatch):
    (tmp_path / "pretrain-x").mkdir()
    monkeypatch.chdir(tmp_path)
    save_encoder(make(), tmp_path / "pretrain-x" / "encoder.safetensors")
    path, notes = export_file(tmp_path / "pretrain-x" / "encoder.safetensors", "mmpretrain", None)
    assert path.name == "pretrain-x-mmpretrain.pth" and path.exists()
    assert notes[-1].startswith("pixels are imagenet: write data_preprocessor = ")
