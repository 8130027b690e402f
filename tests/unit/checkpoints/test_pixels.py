"""What files, families and configs beside them say of the pixels; what is written; never a guess."""

import argparse
import json
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from caebench.checkpoints import load_encoder
from caebench.checkpoints.encoder_file import FileEncoder, read_encoder, save_encoder
from caebench.checkpoints.export import LAYOUTS, export
from caebench.checkpoints.inspection import inspect
from caebench.specs.families import BY_NAME
from caebench.specs.pixel_stats import NAMED, parse_stats
from tests.unit.checkpoints.layouts import beit, hugging_face, make, maskfeat, plain, without_key_biases

GOLDEN = Path(__file__).parents[2] / "golden" / "encoders"
OWN = "0.31,0.42,0.57/0.21,0.33,0.47"
INCEPTION = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
VIT = {"layer_scale": None, "positions": "learnt"}


def told(path, **named):
    found = load_encoder(path, num_heads=3, **named).report.pixels
    looked = inspect(path, num_heads=3, **named)
    assert (looked["pixel_stats"], looked["pixel_source"]) == (found or (None, ""))
    return found


def write(folder, state, name="model.safetensors", **configs):
    """Weights of timm's or Hugging Face's names, and JSON files beside them."""
    save_file({key: tensor.contiguous() for key, tensor in state.items()}, folder / name)
    for config, content in configs.items():
        (folder / f"{config}.json").write_text(json.dumps(content), encoding="utf8")
    return folder / name


def test_every_family_fixes_its_pixels_or_leaves_them_open():
    usual = {"dinov2": "imagenet", "ijepa": "imagenet", "clip": "clip", "siglip": "inception"}
    assert {name: row.usual_pixels for name, row in BY_NAME.items() if row.usual_pixels} == usual
    open_ones = {"beit", "peco", "splitmask", "timm", "hf", "mmpretrain", *usual}
    assert {name: row.pixels for name, row in BY_NAME.items()} == {
        name: None if name in open_ones else "imagenet" for name in BY_NAME
    }


@pytest.mark.parametrize("family", ["cae", "deit", "dino", "ibot", "mae", "moco_v3", "simmim"])
def test_a_family_that_fixes_them_says_them(family):
    assert told(GOLDEN / f"{family}.pth") == ("imagenet", f"the family {BY_NAME[family].title}")
    with pytest.raises(ValueError, match=f"{family}.pth: .* says imagenet, and --pixel-stats inception. Leave"):
        load_encoder(GOLDEN / f"{family}.pth", num_heads=3, pixel_stats="inception")


def test_maskfeats_images_are_imagenets_though_its_videos_are_not(tmp_path):
    torch.save(maskfeat(make(**VIT)), tmp_path / "x.pyth")
    assert told(tmp_path / "x.pyth").stats == "imagenet"


@pytest.mark.parametrize("family", ["beit", "timm", "hf"])
def test_a_family_that_leaves_them_open_says_nothing(family, tmp_path):
    states = {"timm": plain(make(**VIT)), "hf": hugging_face(make(**VIT))}
    path = GOLDEN / "beit.pth" if family == "beit" else write(tmp_path, states[family])
    assert told(path) is None
    loaded = load_encoder(path, num_heads=3)
    assert loaded.pixel_stats is None and "pixels: nothing says" in str(loaded.report)
    with pytest.raises(ValueError, match=r"unknown how the encoder's images are normalised"):
        save_encoder(loaded, tmp_path / "encoder.safetensors")
    assert load_encoder(path, num_heads=3, pixel_stats="clip").pixel_stats == NAMED["clip"]


@pytest.mark.parametrize(("flag", "stats"), [(True, "imagenet"), (False, "inception")])
def test_options_of_training_that_a_file_has_kept_say_them(flag, stats, tmp_path):
    state = beit(without_key_biases(make(positions="none", relative_position_bias="shared")))
    options = argparse.Namespace(lr=1.5e-3, imagenet_default_mean_and_std=flag)
    torch.save({"model": state, "args": options}, tmp_path / "x.pth")
    assert told(tmp_path / "x.pth") == (stats, f"its own entry 'args' (imagenet_default_mean_and_std = {flag})")
    torch.save({"model": state, "args": argparse.Namespace(imagenet_default_mean_and_std="no")}, tmp_path / "x.pth")
    assert told(tmp_path / "x.pth") is None


@pytest.mark.parametrize(
    ("family", "config", "content", "stats"),
    [
        ("timm", "config", {"architecture": "vit", "pretrained_cfg": INCEPTION}, "inception"),
        ("timm", "config", {"architecture": "vit", **INCEPTION}, "inception"),
        ("timm", "config", {"architecture": "vit", "pretrained_cfg": {"tag": "x"}}, None),
        ("hf", "config", {"model_type": "vit"}, None),
        ("hf", "preprocessor_config", {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}, "inception"),
        ("hf", "preprocessor_config", {"image_mean": 0.5, "image_std": 0.5}, "inception"),
        ("hf", "preprocessor_config", {"image_mean": [0.31, 0.42, 0.57], "image_std": [0.21, 0.33, 0.47]}, OWN),
        ("hf", "preprocessor_config", {"do_normalize": False}, "0.0,0.0,0.0/1.0,1.0,1.0"),
    ],
)
def test_a_hubs_config_next_to_the_weights_has_the_pixel_stats(family, config, content, stats, tmp_path):
    state = (plain if family == "timm" else hugging_face)(make(**VIT))
    path = write(tmp_path, state, **{config: content})
    assert told(path) == (None if stats is None else (stats, str(tmp_path / f"{config}.json")))
    if stats:
        with pytest.raises(ValueError, match=f"{config}.json says {stats}, and --pixel-stats imagenet. Leave"):
            load_encoder(path, num_heads=3, pixel_stats="imagenet")


def test_a_config_is_that_of_the_only_weights_or_of_a_hubs(tmp_path):
    path = write(tmp_path, plain(make(**VIT)), "vit.safetensors", config={"pretrained_cfg": INCEPTION})
    assert told(path).stats == "inception"
    write(tmp_path, plain(make(**VIT)))
    assert told(path) is None, "it may be the other's"
    assert told(tmp_path / "model.safetensors").stats == "inception"


def test_a_config_that_says_otherwise_than_the_family_is_an_error(tmp_path):
    (tmp_path / "mae.pth").write_bytes((GOLDEN / "mae.pth").read_bytes())
    (tmp_path / "config.json").write_text(json.dumps({"pretrained_cfg": INCEPTION}), encoding="utf8")
    with pytest.raises(ValueError, match=r"the family MAE says imagenet, and .*config.json inception. Correct one"):
        load_encoder(tmp_path / "mae.pth", num_heads=3)


@pytest.mark.parametrize(
    "text",
    [
        *("no json", "[]", '{"mean": [0.5], "std": [1, 1, 1]}', '{"mean": "a", "std": 1}', "[" * 100_000),
        '{"mean": 1' + "0" * 400 + ', "std": 1}',
    ],
)
def test_a_config_that_cannot_be_read_is_an_error(text, tmp_path):
    path = write(tmp_path, plain(make(**VIT)))
    (tmp_path / "config.json").write_text(text, encoding="utf8")
    with pytest.raises(ValueError, match=r"config.json: its statistics of pixels cannot be read: .* give --pix"):
        load_encoder(path, num_heads=3)


# ---- what is written ------------------------------------------------------------------------------------------------


def of_pixels(name, **options):
    encoder = FileEncoder(make().variant, 96, **options).eval().requires_grad_(False)
    encoder.load_state_dict(make(**options).state_dict())
    encoder.pixel_stats = parse_stats(name)
    return encoder


@pytest.mark.parametrize("to", LAYOUTS)
@pytest.mark.parametrize("name", ["imagenet", "inception", OWN])
def test_an_export_says_them_and_an_import_reads_them(name, to, tmp_path):
    notes = export(of_pixels(name), to, tmp_path / "out")
    assert any(f"pixels are {name}: " in note for note in notes)
    path = tmp_path / "out"
    if to == "hf":
        config = json.loads((path / "preprocessor_config.json").read_text(encoding="utf8"))
        assert (config["image_mean"], config["image_std"]) == tuple(list(part) for part in parse_stats(name))
        path = path / "model.safetensors"
    assert told(path) == (name, "its own note"), "whatever the family fixes"


@pytest.mark.parametrize("to", LAYOUTS)
def test_an_export_of_what_nobody_told_does_not_make_it_up(to, tmp_path):
    export(load_encoder(GOLDEN / "beit.pth", num_heads=3), to, tmp_path / "out")
    path = tmp_path / "out"
    assert not path.is_dir() or not (path / "preprocessor_config.json").exists()
    loaded = load_encoder(path / "model.safetensors" if path.is_dir() else path)
    assert loaded.report.pixels in (None, ("imagenet", "the family CAE"))


def test_our_own_file_says_them(tmp_path):
    save_encoder(of_pixels(OWN), tmp_path / "encoder.safetensors")
    assert told(tmp_path / "encoder.safetensors") == (OWN, "its own note")
    assert read_encoder(tmp_path / "encoder.safetensors").pixel_stats == parse_stats(OWN)


@pytest.mark.parametrize(
    "options", [VIT, {"positions": "none", "relative_position_bias": "shared"}, {"relative_position_bias": "block"}]
)
def test_timm_makes_the_model_and_its_transform_of_what_is_written(options, tmp_path):
    encoder = of_pixels(OWN, **options)
    export(encoder, "timm", tmp_path / "model" / "model.safetensors")
    model = timm.create_model(f"local-dir:{tmp_path / 'model'}", pretrained=True).eval()
    images = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(5))
    torch.testing.assert_close(model.forward_features(images), encoder(images), rtol=0, atol=2e-5)
    data = timm.data.resolve_model_data_config(model)
    assert (data["mean"], data["std"]) == tuple(list(part) for part in parse_stats(OWN))
    assert (data["input_size"], data["crop_pct"]) == ([3, 96, 96], 0.875)


def test_timms_config_is_not_written_over_another(tmp_path):
    (tmp_path / "x.json").write_text("{}", encoding="utf8")
    with pytest.raises(ValueError, match=r"x.json: already exists"):
        export(of_pixels(OWN), "timm", tmp_path / "x.safetensors")
    assert not (tmp_path / "x.safetensors").exists()


def test_mmpretrains_checkpoint_has_them_in_bytes(tmp_path):
    export(of_pixels("imagenet"), "mmpretrain", tmp_path / "x.pth")
    found = torch.load(tmp_path / "x.pth", weights_only=True)["meta"]["data_preprocessor"]
    assert found["mean"] == pytest.approx([123.675, 116.28, 103.53])
    assert found["std"] == pytest.approx([58.395, 57.12, 57.375]) and found["to_rgb"]
