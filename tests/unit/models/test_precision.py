"""What stays in float32 under autocast: target codes, and the products of losses (ADR 8)."""

import pytest
import torch
from torch.nn import functional as F

from caebench.methods.cae import contrast_within_images
from caebench.methods.dino import cosine_similarities, distillation_loss
from caebench.methods.ibot import masked_distillation_loss
from caebench.methods.moco_v3 import contrast
from caebench.models.tokenizer import DALLEEncoder, DiscreteVAE
from caebench.planning.scale import NANO
from caebench.specs.inputs.tokenizer import DVAE
from caebench.specs.registry import SOURCES
from caebench.specs.targets import DALLETarget, DVAETarget

GENERATOR = torch.Generator().manual_seed(0)


def rows(*shape):
    return torch.randn(shape, generator=GENERATOR)


def nano_dvae() -> DVAE:
    target = NANO.apply(SOURCES["cae"](target="dvae")).method.target
    assert isinstance(target, DVAETarget)
    return target.tokenizer


@pytest.mark.parametrize(
    "tokenizer",
    [lambda: DiscreteVAE(nano_dvae()), lambda: DALLEEncoder(DALLETarget(kind="dalle").vocabulary, width=16)],
)
def test_codes_do_not_depend_on_the_precision_of_training(tokenizer):
    torch.manual_seed(0)
    tokenizer = tokenizer().eval()
    images = torch.rand(16, 3, 48, 48, generator=GENERATOR)
    expected = tokenizer.codes(images)
    with torch.autocast("cpu", torch.bfloat16):
        codes = tokenizer.codes(images)
        lowered = F.linear(images, torch.eye(48))  # that autocast is at work
    assert lowered.dtype == torch.bfloat16
    assert len(expected.unique()) > 1
    assert torch.equal(codes, expected)


MASK = torch.rand(4, 6, generator=GENERATOR) < 0.5
LOSSES = {
    "DINO": lambda x: distillation_loss(x(6, 4, 32), x(2, 4, 32), x(32), 0.1, 0.04),
    "DINO's head": lambda x: cosine_similarities(x(8, 16), x(32, 16)),
    "iBOT": lambda x: masked_distillation_loss(x(int(MASK.sum()), 32), x(int(MASK.sum()), 32), MASK, x(32), 0.1, 0.04),
    "MoCo v3": lambda x: contrast(x(8, 16), x(8, 16), 0, 0.2),
    "CAE, contrastive": lambda x: contrast_within_images(x(4, 6, 16), x(4, 6, 16), 0.1),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_loss_is_not_lowered_by_autocast(name, dtype):
    """Networks hand over bf16 outputs; from there on nothing is rounded."""

    def drawn(*shape):
        return torch.randn(shape, generator=generator).to(dtype)

    generator = torch.Generator().manual_seed(0)
    expected = LOSSES[name](lambda *shape: drawn(*shape).double())
    generator = torch.Generator().manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        loss = LOSSES[name](drawn)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-6)
