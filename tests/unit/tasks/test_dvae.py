"""The tokenizer's objective: DALL-E's evidence bound, its schedules, and what is reported of the codes."""

import json

import pytest
import torch
from torch.distributions import Categorical, Laplace, SigmoidTransform, TransformedDistribution, kl_divergence

from caebench.data.loading import Samples
from caebench.models.tokenizer import DiscreteVAE
from caebench.planning.scale import SCALES
from caebench.specs.inputs.tokenizer import dvae
from caebench.specs.methods.cae import cae
from caebench.specs.site import Site
from caebench.tasks.data import render_data
from caebench.tasks.dvae import (
    Anneal,
    CollapsedCodes,
    DVAEStep,
    from_uniform,
    gumbel,
    logit_laplace,
    measure,
    train_dvae,
)
from caebench.training.distributed import join_group
from caebench.training.hooks import StepInfo
from caebench.training.run import Run


@pytest.fixture
def small():
    """The recipe at sizes of a test, stride 4."""
    return dvae().replace(vocabulary=12, codebook_dim=5, hidden_dim=6, num_downsamplings=2, image_size=16)


@pytest.fixture
def step(small):
    torch.manual_seed(0)
    return DVAEStep(small)


@pytest.fixture
def batch():
    torch.manual_seed(1)
    return {"image": torch.rand(3, 3, 16, 16), "noise_seed": torch.tensor([5, 6, 7])}


def test_density_of_a_pixel_is_torchs():
    torch.manual_seed(0)
    images, location, log_scale = torch.rand(2, 3, 4, 4), torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    expected = TransformedDistribution(Laplace(location, log_scale.exp()), SigmoidTransform())
    found = logit_laplace(images, location, log_scale)
    torch.testing.assert_close(found, -expected.log_prob(0.8 * images + 0.1), rtol=1e-5, atol=1e-5)


def test_divergence_is_torchs():
    logits = 3.0 * torch.randn(2, 12, 3, 5)
    codes = Categorical(logits=logits.movedim(1, -1))
    expected = kl_divergence(codes, Categorical(probs=torch.full((12,), 1.0 / 12.0)).expand(codes.batch_shape))
    torch.testing.assert_close(from_uniform(logits), expected, rtol=1e-5, atol=1e-5)


def test_loss_is_the_bound_over_the_number_of_values(step, batch):
    """Pixels and positions are summed, and both are divided by the values of an image (DALL-E, appendix A.2)."""
    step.kl_weight, step.temperature = 6.6, 0.5
    logits = step.dvae.logits(batch["image"])
    soft = torch.softmax((logits + gumbel(batch["noise_seed"], logits)) / 0.5, dim=1)
    likelihood = logit_laplace(batch["image"], *step.dvae.decode(soft)).sum((1, 2, 3))
    bound = likelihood + 6.6 * from_uniform(logits).sum((1, 2))
    torch.testing.assert_close(step(batch)["loss"], (bound / (3 * 16 * 16)).mean(), rtol=1e-5, atol=1e-6)


def test_weight_of_the_divergence_is_dalles_at_its_stride():
    assert dvae().kl_weight / (3 * DiscreteVAE(dvae()).stride ** 2) == pytest.approx(6.6 / 192)


def test_weight_and_temperature_follow_their_cosines(step):
    """The weight warms up over two of 20 epochs, the temperature falls over all of them."""
    anneal, seen = Anneal(step), {}
    for number in (0, 5, 10, 50, 100):
        anneal.before_step(StepInfo(number, total=100, steps_per_epoch=5))
        seen[number] = (step.kl_weight, step.temperature)
    middle = (1.0 + 1.0 / 16.0) / 2.0
    assert [weight for weight, _ in seen.values()] == pytest.approx([0.0, 3.3, 6.6, 6.6, 6.6])
    assert (seen[0][1], seen[50][1], seen[100][1]) == pytest.approx((1.0, middle, 1.0 / 16.0))
    assert seen[5][1] > 0.99  # a cosine: slow at first


def test_a_divergence_without_warmup_counts_at_once(small):
    step = DVAEStep(small.replace(kl_warmup_epochs=0.0))
    Anneal(step).before_step(StepInfo(0, total=100, steps_per_epoch=5))
    assert step.kl_weight == 6.6


class Known(DiscreteVAE):
    """The code of a pixel is its red value."""

    def codes(self, images):
        return images[:, 0].flatten(1).long()

    def reconstruct(self, images):
        return images + 0.1


def test_what_is_reported_of_the_codes(small, tmp_path):
    red = torch.tensor([[0, 0, 1, 1], [2, 2, 3, 3]])
    images = [torch.stack([row.float().reshape(2, 2)] * 3) for row in red]

    class Two(Samples):
        def __init__(self):
            pass

        def __len__(self):
            return len(images)

        def __getitems__(self, keys):
            return [{"image": images[index]} for _, index in keys]

    found = measure(Known(small), Two(), Run(tmp_path, {}, Site(device="cpu"), join_group("cpu")))
    assert found["psnr"] == pytest.approx(20.0, abs=1e-3) and found["perplexity"] == pytest.approx(4.0)
    assert found["codes_in_use"] == 4 and found["share_in_use"] == pytest.approx(4 / 12)


@pytest.mark.parametrize("scale", SCALES)
def test_the_least_perplexity_is_a_tenth_of_the_vocabulary(scale):
    """And the warm-up of the divergence a tenth of the epochs."""
    target = SCALES[scale].apply(cae(target="dvae")).method.target
    tokenizer = target.tokenizer
    assert tokenizer.min_perplexity / tokenizer.vocabulary == pytest.approx(0.1, abs=1e-4)
    assert tokenizer.kl_warmup_epochs / tokenizer.optimization.epochs == pytest.approx(0.1)


@pytest.fixture
def tokenizer(tiny):
    """One that trains in a second."""
    return tiny.apply(cae(target="dvae")).method.target.tokenizer


@pytest.fixture
def run(tiny, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    site, group = Site(device="cpu", num_workers=0), join_group("cpu")
    render_data(tiny.apply(cae(target="dvae")).data, Run(data, {}, site, group))
    (data / "result.json").write_text("{}", encoding="utf8")
    return Run(tmp_path, {"data": data}, site, group)


def test_a_tokenizer_with_few_codes_is_refused(tokenizer, run):
    with pytest.raises(CollapsedCodes, match=r"perplexity is \d.* of 16, the least allowed 15\.9: .*Train longer"):
        train_dvae(tokenizer.replace(min_perplexity=15.9), run)
    assert not (run.folder / "dvae.pt").exists()


def test_the_job_reports_reconstruction_and_codes(tokenizer, run):
    found = train_dvae(tokenizer, run)
    assert set(found) == {"psnr", "perplexity", "codes_in_use", "share_in_use"}
    assert found["share_in_use"] == found["codes_in_use"] / 16
    logged = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text(encoding="utf8").splitlines()]
    assert logged[-1]["temperature"] < logged[0]["temperature"] and logged[-1]["kl_weight"] == pytest.approx(6.6)
