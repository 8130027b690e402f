"""Training the discrete VAE without labels (CAE, Sec. 4.1: "d-VAE ... trained on ImageNet-1K without labels")."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from caebench.data.loading import Samples
from caebench.data.randomness import Purpose, derive, seeded
from caebench.data.samples.dvae import DVAESample
from caebench.data.samples.labelled import LabelledSample
from caebench.data.transforms import evaluation_unnormalized
from caebench.files.layout import DVAE as DVAE_FILE
from caebench.models.tokenizer import DiscreteVAE, inside
from caebench.specs.inputs.tokenizer import DVAE
from caebench.training.checkpoint import save
from caebench.training.evaluation import evaluation_batches
from caebench.training.hooks import Hooks, StepInfo
from caebench.training.optim import split_decay
from caebench.training.run import Run
from caebench.training.step import Batch
from caebench.training.trainer import Training, fit

EVALUATION_BATCH = 64


class CollapsedCodes(ArithmeticError):
    """A tokenizer that gives nearly every patch the same code."""


class DVAEStep(nn.Module):
    """Reconstruct through Gumbel-softmax codes: the evidence bound of DALL-E (arXiv 2102.12092, appendix A.2)."""

    def __init__(self, config: DVAE) -> None:
        super().__init__()
        self.config, self.dvae = config, DiscreteVAE(config)
        self.kl_weight, self.temperature = 0.0, config.temperature_start  # of the step; `Anneal` sets them

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Negative log-likelihood of a pixel's value, and its share of the codes' divergence from uniform."""
        images = batch["image"]
        logits = self.dvae.logits(images).float()
        soft = torch.softmax((logits + gumbel(batch["noise_seed"], logits)) / self.temperature, dim=1)
        location, log_scale = self.dvae.decode(soft)
        error = logit_laplace(images, location.float(), log_scale.float()).mean()
        divergence = from_uniform(logits).mean()
        # The bound is a sum over pixels and positions, divided by the number of values: beta / 192 at stride 8.
        weight = self.kl_weight / (3 * self.dvae.stride**2)
        return {
            "loss": error + weight * divergence,
            "error": error.detach(),
            "divergence": divergence.detach(),
            "kl_weight": logits.new_tensor(self.kl_weight),
            "temperature": logits.new_tensor(self.temperature),
        }


class Anneal(Hooks):
    """Weight and temperature of a step, along cosines (DALL-E, appendix A.2); they follow from the step alone."""

    def __init__(self, step: DVAEStep) -> None:
        self.step = step

    def before_step(self, info: StepInfo) -> None:
        """The weight rises while it warms up, the temperature falls until the end."""
        config = self.step.config
        warmup = round(config.kl_warmup_epochs * info.steps_per_epoch)
        rising = replace(info, total=max(1, warmup))
        self.step.kl_weight = rising.cosine(0.0, config.kl_weight) if info.step < warmup else config.kl_weight
        self.step.temperature = info.cosine(config.temperature_start, config.temperature_end)


def logit_laplace(
    images: Float[Tensor, "batch 3 height width"],
    location: Float[Tensor, "batch 3 height width"],
    log_scale: Float[Tensor, "batch 3 height width"],
) -> Float[Tensor, "batch 3 height width"]:
    """Negative log-density of each value under a logit-Laplace distribution (DALL-E, appendix A.3, Eq. 2)."""
    x = inside(images)
    return math.log(2.0) + log_scale + (x * (1.0 - x)).log() + (x.logit() - location).abs() * (-log_scale).exp()


def from_uniform(logits: Float[Tensor, "batch vocabulary rows columns"]) -> Float[Tensor, "batch rows columns"]:
    """Divergence of each position's codes from uniform, in nats."""
    log_probability = F.log_softmax(logits, dim=1)
    return (log_probability.exp() * (log_probability + math.log(logits.shape[1]))).sum(1)


def gumbel(seeds: Tensor, logits: Float[Tensor, "batch vocabulary rows columns"]) -> Tensor:
    """Gumbel noise drawn for each sample from its own seed, so that it does not depend on the batch around it."""
    noise = torch.empty_like(logits)
    generator = torch.Generator(logits.device)
    for sample, seed in zip(noise, seeds.tolist(), strict=True):
        sample.exponential_(generator=generator.manual_seed(seed))
    return -noise.clamp_min(1e-20).log()


def train_dvae(config: DVAE, run: Run) -> dict[str, Any]:
    """Train, measure on the validation split, and refuse a tokenizer whose codes hardly differ.

    Raises:
        CollapsedCodes: the perplexity of the codes is below the recipe's least.
    """
    train, val = run.open_split(config.data, "train"), run.open_split(config.data, "val")
    with seeded(derive(Purpose.INITIALISATION, config.seed)):
        step = DVAEStep(config)
    images = Samples(val, LabelledSample(evaluation_unnormalized(config.image_size), config.seed))
    training = Training(
        module=step,
        groups=split_decay(step),
        config=config.optimization,
        samples=Samples(train, DVAESample(config)),
        seed=config.seed,
        per_device=run.site.per_device_batch,
        hooks=Anneal(step),
        finish=lambda history: measure(step.dvae.eval(), images, run),
    )
    quality = fit(training, run)
    if quality["perplexity"] < config.min_perplexity:
        raise CollapsedCodes(
            f"{run.folder}: the codes' perplexity is {quality['perplexity']:.2f} of {config.vocabulary}, the least "
            f"allowed {config.min_perplexity:g}: nearly every patch has the same code. "
            "Train longer, or change the recipe."
        )
    if run.group.is_main:
        save(run.folder / DVAE_FILE, step.dvae.state_dict())
    return quality


@torch.no_grad()
def measure(dvae: DiscreteVAE, samples: Samples, run: Run) -> dict[str, float]:
    """PSNR in dB of hard reconstructions, perplexity of the codes, and how many of them are in use."""
    counts = torch.zeros(dvae.codebook.num_embeddings, device=run.device, dtype=torch.float64)
    sums = torch.zeros(2, device=run.device, dtype=torch.float64)  # squared error, values
    for batch in evaluation_batches(samples, run, EVALUATION_BATCH):
        images = batch["image"]
        counts += torch.bincount(dvae.codes(images).flatten(), minlength=len(counts))
        sums[0] += ((dvae.reconstruct(images) - images) ** 2).sum()
        sums[1] += images.numel()
    counts, (error, values) = run.group.sum(counts), run.group.sum(sums)
    share = counts / counts.sum()
    perplexity = torch.exp(-(share * share.clamp_min(1e-12).log()).sum())
    return {
        "psnr": float(-10.0 * torch.log10(error / values)),
        "perplexity": float(perplexity),
        "codes_in_use": int((counts > 0).sum()),
        "share_in_use": float((counts > 0).double().mean()),
    }


def load_dvae(config: DVAE, folder: Path) -> DiscreteVAE:
    """The tokenizer that a finished job left.

    Raises:
        ValueError: its file is missing, damaged or of other sizes.
    """
    dvae, path = DiscreteVAE(config), folder / DVAE_FILE
    try:
        dvae.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except PermissionError:
        raise
    except Exception as error:  # torch raises many types for truncated and foreign files, few of which name the file
        what = f"cannot be read as a tokenizer: {error}"
        raise ValueError(f"{path}: {what}. Delete its job's folder and run it again.") from error
    return dvae
