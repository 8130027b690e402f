"""`timm:NAME FILE`: the file's weights in timm's own network, strictly; everything else is one clear line."""

import pytest
import timm
import torch
from safetensors.torch import save_file

from caebench.checkpoints.encoder_file import read_encoder
from caebench.checkpoints.timm_files import leave_timm, open_timm
from caebench.checkpoints.verification import check_file
from caebench.specs.pixel_stats import parse_stats

IMAGES = torch.rand(2, 3, 160, 160, generator=torch.Generator().manual_seed(1))


def weights(tmp_path, name="test_vit", file="x.pth", change=None):
    """timm's network with a classifier, and a file of its weights."""
    torch.manual_seed(0)
    network = timm.create_model(name, pretrained=False).eval()
    state = {key: tensor.clone().contiguous() for key, tensor in network.state_dict().items()}
    if change is not None:
        change(state)
    save_file(state, tmp_path / file) if file.endswith("safetensors") else torch.save(state, tmp_path / file)
    return network, tmp_path / file


@torch.no_grad()
@pytest.mark.parametrize("file", ["x.pth", "model.safetensors"])
@pytest.mark.parametrize(
    "name", ["test_vit.r160_in1k", "test_convnext", "test_efficientnet", "vit_tiny_patch16_dinov3_qkvb"]
)
def test_a_files_weights_give_timms_features_again_after_an_import(name, file, tmp_path):
    network, path = weights(tmp_path, name, file)
    opened = open_timm(name, path)
    leave_timm(opened, tmp_path)
    again = read_encoder(tmp_path / "encoder.safetensors").eval()
    expected = network.forward_features(IMAGES)
    expected = expected if expected.ndim == 3 else expected.flatten(2).mT
    for encoder in (opened.encoder, again):
        torch.testing.assert_close(encoder(IMAGES), expected, rtol=0, atol=1e-5)
    config = network.pretrained_cfg
    assert again.pixel_stats == parse_stats(opened.record["pixel_stats"])
    assert list(again.pixel_stats.mean) == pytest.approx(list(config["mean"]))
    assert [check for check in check_file(again, opened.record) if check.state != "ok"] == []
    assert all("classifier" in why for why in opened.record["unused_keys"].values())


def test_a_projects_own_layout_is_read_by_timms_reader(tmp_path):
    """DINOv2's `.pth`: a mask token that timm leaves out, the class token's position apart."""
    name = "vit_small_patch14_dinov2"
    network = timm.create_model(name, pretrained=False, num_classes=0).eval()
    state = {**network.state_dict(), "mask_token": torch.ones(1, 384)}
    torch.save({"model": state}, tmp_path / "x.pth")
    opened = open_timm(name, tmp_path / "x.pth")
    assert "mask_token" in opened.record["unused_keys"]
    images = torch.rand(1, 3, 518, 518)
    with torch.no_grad():
        torch.testing.assert_close(opened.encoder(images), network.forward_features(images), rtol=0, atol=1e-5)


def test_a_missing_file_says_where_it_is_published(tmp_path):
    for path in (None, tmp_path / "x.pth"):
        with pytest.raises(
            ValueError, match=r"published at https://\S+dinov2_vitb14_pretrain\.pth and .*Nothing is fetched"
        ):
            open_timm("vit_base_patch14_dinov2", path)


def drop(state):
    del state["blocks.1.norm1.weight"]


def add(state):
    state["blocks.1.extra"] = torch.ones(2)


def cut(state):
    state["blocks.1.norm1.weight"] = torch.ones(3)


def spoil(state):
    state["blocks.1.norm1.weight"][0] = float("nan")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (drop, r"no weights of timm:test_vit: 1 tensors do not fit: blocks\.1\.norm1\.weight: missing"),
        (add, r"blocks\.1\.extra: not part of the model"),
        (cut, r"blocks\.1\.norm1\.weight: \(3,\), expected \(64,\)"),
        (spoil, r"'blocks\.1\.norm1\.weight' has NaN or Inf"),
    ],
)
def test_weights_that_do_not_fit_are_refused(change, said, tmp_path):
    _, path = weights(tmp_path, change=change)
    with pytest.raises(ValueError, match=said) as caught:
        open_timm("test_vit", path)
    assert "\n" not in str(caught.value)


def test_weights_of_another_network_and_other_pixels_are_refused(tmp_path):
    _, path = weights(tmp_path, "test_convnext")
    with pytest.raises(ValueError, match=r"x\.pth: .*test_vit"):
        open_timm("test_vit", path)
    with pytest.raises(ValueError, match=r"timm's config of test_convnext says \S+, and --pixel-stats clip"):
        open_timm("test_convnext", path, "clip")
