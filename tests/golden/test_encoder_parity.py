"""Parity with eight projects' own encoders: the tensors were computed by their code (tests/golden/README.md)."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from caebench.checkpoints import load_encoder

HERE = Path(__file__).parent / "encoders"
FAMILIES = ["beit", "cae", "deit", "dino", "ibot", "mae", "moco_v3", "simmim"]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_released_layout_gives_the_tokens_of_its_own_code(family):
    expected = load_file(HERE / f"{family}.expected.safetensors")
    encoder = load_encoder(HERE / f"{family}.pth", num_heads=3)
    assert encoder.report.family == family
    with torch.no_grad():
        tokens = encoder(expected["images"])
    assert tokens.shape == (2, 37, 48)
    torch.testing.assert_close(tokens, expected["tokens"], rtol=0, atol=2e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_number_of_heads_must_be_given_at_a_width_that_was_never_released(family):
    with pytest.raises(ValueError, match="num_heads"):
        load_encoder(HERE / f"{family}.pth")


def test_every_reference_file_is_tested():
    assert sorted(path.stem for path in HERE.glob("*.pth")) == FAMILIES
