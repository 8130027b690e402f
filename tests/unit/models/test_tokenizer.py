"""The discrete VAE's codes, and the noise that it trains with."""

import pytest
import torch

from caebench.models.tokenizer import DALLEEncoder, DiscreteVAE
from caebench.specs.inputs.dataset import RealData
from caebench.specs.inputs.tokenizer import DVAE
from caebench.specs.optim import AdamW, Optimization
from caebench.tasks.dvae import gumbel


@pytest.fixture
def config():
    return DVAE(
        kind="dvae",
        data=RealData(kind="real", name="imagenet1k"),
        image_size=24,
        optimization=Optimization(
            optimizer=AdamW(kind="adamw"), epochs=1, warmup_epochs=0, global_batch=2, base_lr=1.0
        ),
        vocabulary=13,
        codebook_dim=6,
        hidden_dim=8,
    )


@pytest.mark.parametrize("downs", [1, 2, 3])
def test_one_code_for_each_patch(config, downs):
    dvae = DiscreteVAE(config.replace(num_downsamplings=downs))
    images = torch.rand(2, 3, 24, 24)
    assert dvae.stride == 2**downs
    codes = dvae.codes(images)
    assert codes.shape == (2, (24 // dvae.stride) ** 2)
    assert codes.min() >= 0 and codes.max() < 13
    restored = dvae.reconstruct(images)
    assert restored.shape == images.shape and restored.min() >= 0.0 and restored.max() <= 1.0


@pytest.mark.parametrize("make", [DiscreteVAE, lambda config: DALLEEncoder(13, 8)], ids=["dvae", "dalle"])
def test_codes_are_listed_row_by_row(config, make):
    torch.manual_seed(0)
    tokenizer = make(config)
    images = torch.rand(1, 3, 16, 48)
    logits = (tokenizer.logits if isinstance(tokenizer, DiscreteVAE) else tokenizer)(images)
    assert logits.shape == (1, 13, 2, 6)
    expected = [int(logits[0, :, row, column].argmax()) for row in range(2) for column in range(6)]
    assert tokenizer.codes(images)[0].tolist() == expected


def test_noise_belongs_to_the_sample():
    logits = torch.zeros(3, 5, 4, 4)
    seeds = torch.tensor([11, 2**62, 7])
    together = gumbel(seeds, logits)
    for number in (2, 0, 1):
        torch.testing.assert_close(gumbel(seeds[number : number + 1], logits[:1])[0], together[number], rtol=0, atol=0)
    assert not torch.equal(together[0], together[2])


def test_noise_is_gumbels():
    noise = gumbel(torch.arange(8), torch.zeros(8, 50, 10, 10))
    assert noise.isfinite().all()
    assert noise.mean() == pytest.approx(0.5772, abs=0.02) and noise.std() == pytest.approx(1.2825, abs=0.02)
