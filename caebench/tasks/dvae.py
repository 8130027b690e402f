"""Training the discrete VAE without labels (CAE, Sec. 4.1: "d-VAE ... trained on ImageNet-1K without labels")."""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from caebench.config.method import DVAE
from caebench.data.loading import Key, Samples, evaluation_loader
from caebench.data.randomness import Purpose, derive, seeded
from caebench.data.transforms import evaluation_unnormalized, whole_image
from caebench.models.tokenizer import DiscreteVAE
from caebench.training.loop import Batch, Training, fit, to_device
from caebench.training.optim import split_decay
from caebench.training.run import Run

WEIGHTS = "dvae.pt"


class CollapsedCodes(ArithmeticError):
    """A tokenizer that gives nearly every patch the same code."""


class DVAEStep(nn.Module):
    """Reconstruct through Gumbel-softmax codes; the temperature falls geometrically over training."""

    def __init__(self, config: DVAE, total_epochs: int) -> None:
        super().__init__()
        self.config, self.total_epochs = config, total_epochs
        self.dvae = DiscreteVAE(config)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Squared error of the pixels, and the divergence of the codes from uniform."""
        logits = self.dvae.logits(batch["image"]).float()
        temperature = self._temperature(batch["progress"])
        soft = torch.softmax((logits + gumbel(batch["noise_seed"], logits)) / temperature, dim=1)
        error = F.mse_loss(self.dvae.decode(soft), batch["image"])
        log_probability = F.log_softmax(logits, dim=1)
        divergence = (log_probability.exp() * (log_probability + torch.tensor(logits.shape[1]).log())).sum(1).mean()
        return {
            "loss": error + self.config.kl_weight * divergence,
            "error": error.detach(),
            "divergence": divergence.detach(),
            "temperature": temperature.mean(),
        }

    def _temperature(self, progress: Float[Tensor, " batch"]) -> Float[Tensor, "batch 1 1 1"]:
        start, end = self.config.temperature_start, self.config.temperature_end
        return (start * (end / start) ** progress.float()).reshape(-1, 1, 1, 1)


def gumbel(seeds: Tensor, logits: Float[Tensor, "batch vocabulary rows columns"]) -> Tensor:
    """Gumbel noise drawn for each sample from its own seed, so that it does not depend on the batch around it."""
    noise = torch.empty_like(logits)
    generator = torch.Generator(logits.device)
    for sample, seed in zip(noise, seeds.tolist(), strict=True):
        sample.exponential_(generator=generator.manual_seed(seed))
    return -noise.clamp_min(1e-20).log()


class DVAESample:
    """A crop, the seed of its noise, and how far training has come."""

    def __init__(self, config: DVAE) -> None:
        self.seed, self.epochs = config.seed, config.optimization.epochs
        self.transform = whole_image(config.image_size)

    def __call__(self, image: Image.Image, label: int, key: Key) -> dict[str, Any]:
        """The label is not used."""
        with seeded(derive(Purpose.VIEW, self.seed, *key)):
            crop = self.transform(image)
        return {"image": crop, "noise_seed": derive(Purpose.GUMBEL, self.seed, *key), "progress": key[0] / self.epochs}


def train_dvae(config: DVAE, run: Run) -> dict[str, Any]:
    """Train, measure on the validation split, and refuse a tokenizer whose codes hardly differ.

    Raises:
        CollapsedCodes: the perplexity of the codes is below the recipe's least.
    """
    train, val = run.open_split(config.data, "train"), run.open_split(config.data, "val")
    with seeded(derive(Purpose.INITIALISATION, config.seed)):
        step = DVAEStep(config, config.optimization.epochs)
    training = Training(
        module=step,
        groups=split_decay(step),
        config=config.optimization,
        samples=Samples(train, DVAESample(config)),
        seed=config.seed,
        per_device=run.site.per_device_batch,
    )
    fit(training, run)
    transform = evaluation_unnormalized(config.image_size)
    quality = measure(step.dvae.eval(), Samples(val, lambda image, label, key: {"image": transform(image)}), run)
    if quality["perplexity"] < config.min_perplexity:
        raise CollapsedCodes(
            f"{run.folder}: the codes' perplexity is {quality['perplexity']:.2f} of {config.vocabulary}, the least "
            f"allowed {config.min_perplexity}: nearly every patch has the same code. "
            "Train longer, or change the recipe."
        )
    if run.group.is_main:
        torch.save(step.dvae.state_dict(), run.folder / WEIGHTS)
    return quality


@torch.no_grad()
def measure(dvae: DiscreteVAE, samples: Samples, run: Run) -> dict[str, float]:
    """PSNR in dB of hard reconstructions, and the perplexity of the codes."""
    counts = torch.zeros(dvae.codebook.num_embeddings, device=run.device, dtype=torch.float64)
    sums = torch.zeros(2, device=run.device, dtype=torch.float64)  # squared error, values
    for batch in evaluation_loader(samples, run.group.rank, run.group.size, 64, run.num_workers):
        images = to_device(batch, run.device)["image"]
        counts += torch.bincount(dvae.codes(images).flatten(), minlength=len(counts))
        sums[0] += ((dvae.reconstruct(images) - images) ** 2).sum()
        sums[1] += images.numel()
    counts, (error, values) = run.group.sum(counts), run.group.sum(sums)
    share = counts / counts.sum()
    perplexity = torch.exp(-(share * share.clamp_min(1e-12).log()).sum())
    return {"psnr": float(-10.0 * torch.log10(error / values)), "perplexity": float(perplexity)}


def load_dvae(config: DVAE, folder: Path) -> DiscreteVAE:
    """The tokenizer that a finished job left.

    Raises:
        ValueError: its file is missing, damaged or of other sizes.
    """
    dvae, path = DiscreteVAE(config), folder / WEIGHTS
    try:
        dvae.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # torch raises many types for truncated and foreign files, few of which name the file
        what = f"cannot be read as a tokenizer: {error}"
        raise ValueError(f"{path}: {what}. Delete its job's folder and run it again.") from error
    return dvae
