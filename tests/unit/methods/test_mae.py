"""MAE's loss against float64 values worked out from its text (arXiv 2111.06377, Sec. 3 and 4.1)."""

import numpy as np
import pytest
import torch

from caebench.methods.builders import build_method
from caebench.methods.mae import pixel_loss
from caebench.methods.masked import patchify
from tests.helpers import planned

RNG = np.random.default_rng(0)
PREDICTED, PATCHES = RNG.normal(size=(3, 12)), RNG.normal(2.0, 3.0, size=(3, 12))


def worked_out(normalize=True, degrees_of_freedom=1, epsilon=1e-6):
    """Patch by patch: subtract its mean, divide by its deviation, square the error, average."""
    errors = []
    for prediction, patch in zip(PREDICTED, PATCHES, strict=True):
        mean = sum(patch) / len(patch)
        variance = sum((value - mean) ** 2 for value in patch) / (len(patch) - degrees_of_freedom)
        target = [(value - mean) / (variance + epsilon) ** 0.5 if normalize else value for value in patch]
        errors += [(p - t) ** 2 for p, t in zip(prediction, target, strict=True)]
    return sum(errors) / len(errors)


def loss(normalize=True):
    return float(pixel_loss(torch.from_numpy(PREDICTED), torch.from_numpy(PATCHES), normalize))


@pytest.mark.parametrize("normalize", [True, False])
def test_the_loss_is_the_published_one(normalize):
    assert loss(normalize) == pytest.approx(worked_out(normalize), rel=1e-12)


@pytest.mark.parametrize("changed", [{"normalize": False}, {"degrees_of_freedom": 0}, {"epsilon": 1e-3}], ids=str)
def test_another_normalisation_of_the_target_is_noticed(changed):
    assert loss() != pytest.approx(worked_out(**changed), rel=1e-6)


@pytest.fixture
def method(tiny):
    return build_method(planned(tiny, "mae"))


@pytest.fixture
def batch(method):
    generator = torch.Generator().manual_seed(0)
    masked = torch.rand(4, 36, generator=generator).argsort(dim=1) < 27
    return {"image": torch.randn(4, 3, 48, 48, generator=generator), "masked": masked}


def test_the_loss_is_over_removed_patches_alone(method, batch):
    """Written out from the method's own prediction: the visible patches' pixels enter as input, never as target."""
    encoded = method.encoder(batch["image"], ~batch["masked"])
    predicted = method.decoder(encoded, batch["masked"]).double()
    patches = patchify(batch["image"], 8)[batch["masked"]].double()
    assert len(predicted) == int(batch["masked"].sum())
    torch.testing.assert_close(method(batch)["loss"].double(), pixel_loss(predicted, patches, True))


def test_the_decoder_puts_each_representation_in_its_place(method):
    """Without attention a place depends on its own token alone: visible ones on their pixels, removed ones on none."""
    decoder, masked = method.decoder, torch.tensor([[True, False, True, False] * 9, [False, True, True, True] * 9])[:1]
    seen = {}
    decoder.stack.register_forward_pre_hook(lambda _, inputs: seen.update(tokens=inputs[0]))
    encoded = torch.randn(1, 19, method.encoder.variant.dim)
    decoder(encoded, masked)
    tokens = seen["tokens"][0, 1:] - decoder.positions[0]
    torch.testing.assert_close(tokens[~masked[0]], decoder.embed(encoded)[0, 1:])
    torch.testing.assert_close(tokens[masked[0]], decoder.mask_token[0].expand(18, -1))
    torch.testing.assert_close(seen["tokens"][0, 0], decoder.embed(encoded)[0, 0])
