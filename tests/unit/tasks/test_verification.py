"""`ckpt verify`: the checks of the file, then those on images; classes that lie apart are told apart."""

import pytest
import torch

from caebench.checkpoints.encoder_file import save_encoder
from caebench.files.layout import ENCODER
from caebench.models.vit import Encoder
from caebench.specs.variants import Variant
from caebench.tasks.verification import neighbours, ridge, verify


def test_a_complete_encoder_passes_and_says_what_was_not_tried(tmp_path):
    torch.manual_seed(0)
    shared = {"relative_position_bias": "shared", "positions": "none", "init": "truncated_normal"}
    save_encoder(Encoder(Variant(32, 2, 4, 8), 32, **shared), tmp_path / ENCODER)
    found = verify(tmp_path, None, "cpu")
    assert [check.state for check in found] == ["ok", "ok", "ok", "ok", "skipped"]
    assert "no data set at hand" in found[-1].found


def test_nan_stops_the_checks(tmp_path):
    encoder = Encoder(Variant(32, 2, 4, 8), 32)
    with torch.no_grad():
        encoder.norm.bias[3] = float("nan")
    save_encoder(encoder, tmp_path / ENCODER)
    assert [check.what for check in verify(tmp_path, None, "cpu")] == ["key coverage", "pixels", "finite values"]


@pytest.mark.parametrize("classify", [neighbours, ridge])
def test_classes_that_lie_apart_are_told_apart(classify):
    torch.manual_seed(0)
    centres = 5.0 * torch.randn(4, 16)
    labels = torch.arange(4).repeat_interleave(6) * 3 + 2  # not 0, 1, 2
    bank, queries = (centres.repeat_interleave(6, dim=0) + torch.randn(24, 16) for _ in range(2))
    assert torch.equal(classify(bank, labels, queries), labels)
    chance = (classify(torch.randn(24, 16), labels, queries) == labels).double().mean()
    assert chance < 0.8
