"""BEiT's loss against float64 values worked out from its Eq. 4, and where the mask token stands."""

import math

import numpy as np
import pytest
import torch

from caebench.methods.beit import code_loss
from caebench.methods.builders import build_method
from caebench.models.tokenizer import DiscreteVAE
from caebench.models.vit import Fill
from tests.helpers import planned

RNG = np.random.default_rng(0)
LOGITS, CODES = RNG.normal(size=(5, 7)) * 3.0, RNG.integers(7, size=5)


def worked_out(temperature=1.0, smoothing=0.0):
    """- mean log p(code | corrupted image), p the softmax over the vocabulary."""
    total = 0.0
    for logits, code in zip(LOGITS / temperature, CODES, strict=True):
        normalizer = math.log(sum(math.exp(value) for value in logits))
        wanted = [smoothing / len(logits) + (1.0 - smoothing) * (number == code) for number in range(len(logits))]
        total -= sum(share * (value - normalizer) for share, value in zip(wanted, logits, strict=True))
    return total / len(CODES)


def test_the_loss_is_the_published_one():
    loss = code_loss(torch.from_numpy(LOGITS), torch.from_numpy(CODES))
    assert float(loss) == pytest.approx(worked_out(), rel=1e-12)
    for changed in ({"temperature": 0.9}, {"smoothing": 0.1}):
        assert float(loss) != pytest.approx(worked_out(**changed), rel=1e-6)


@pytest.fixture
def method(tiny):
    config = planned(tiny, "beit")
    torch.manual_seed(0)
    return build_method(config, DiscreteVAE(config.method.target.tokenizer).eval())


@pytest.fixture
def batch(method):
    generator = torch.Generator().manual_seed(0)
    return {
        "image": torch.randn(4, 3, 48, 48, generator=generator),
        "view": torch.rand(4, 3, *(2 * (6 * method.tokenizer[0].stride,)), generator=generator),
        "masked": torch.rand(4, 36, generator=generator).argsort(dim=1) < 14,
        "drop_path_uniforms": torch.ones(4, method.encoder.num_drop_path_uniforms),
    }


def test_only_masked_patches_are_predicted(method, batch):
    """The loss worked out from all patches' logits and codes, the visible ones left out."""
    tokens = method.encoder(
        batch["image"], drop_path_uniforms=batch["drop_path_uniforms"], fill=Fill(batch["masked"], method.mask_token)
    )
    likelihood = method.head(tokens[:, 1:]).double().log_softmax(-1)
    codes = method.tokenizer[0].codes(batch["view"])
    each = -likelihood.gather(2, codes[:, :, None])[:, :, 0]
    torch.testing.assert_close(method(batch)["loss"].double(), each[batch["masked"]].mean())


def test_the_encoder_is_beits(method):
    """One relative position bias for all blocks, no absolute positions, layer scale."""
    assert len(method.encoder.relative_position_biases) == 1
    assert not method.encoder.pos_embed.requires_grad and (method.encoder.pos_embed == 0).all()
    assert all((block.ls1.gamma == 0.1).all() for block in method.encoder.blocks)
