"""Tokenizers: the d-VAE that caebench trains, and DALL-E's released encoder."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Self

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from caebench.specs.inputs.dataset import IMAGENET, Data
from caebench.specs.job import Inputs, Spec
from caebench.specs.optim import AdamW, Optimization
from caebench.specs.scale import Scale, Shrink
from caebench.specs.variants import VariantName

TOKENIZER_BYTES = 10_000_000  # of a d-VAE with its checkpoints; the released one is the user's file


@dataclass(frozen=True)
class TokenizerRule:
    """How the d-VAE shrinks: its schedule, and sizes that take other values."""

    schedule: Shrink
    sizes: Mapping[str, int] = field(default_factory=dict[str, int])


RULES: Mapping[str, TokenizerRule] = {
    "nano": TokenizerRule(
        Shrink(epochs=0.35, batch=16, lr=480.0),
        {"vocabulary": 64, "codebook_dim": 32, "hidden_dim": 32, "num_downsamplings": 3, "num_residual_blocks": 1},
    ),
    "lab": TokenizerRule(
        Shrink(epochs=0.5, batch=2, lr=10.0),
        {"vocabulary": 512, "codebook_dim": 128, "hidden_dim": 128, "num_downsamplings": 2, "num_residual_blocks": 2},
    ),
}


class DVAE(Spec):
    """A discrete VAE that caebench trains without labels: the tokenizer behind the paper's rows called CAE.

    Sizes: the official code's `--discrete_vae_type customized` (8192 codes of 512 dimensions, hidden width 256,
    three stride-2 convolutions, two residual blocks).
    """

    VERSION: ClassVar[int] = 2
    FOLDER: ClassVar[str | None] = "tokenizer"
    IS_COMMON: ClassVar[bool] = True

    kind: Literal["dvae"]
    data: Data
    """The images that it trains on."""
    image_size: PositiveInt
    """Pixels of a side."""
    optimization: Optimization
    """Optimizer, schedule, batch and precision."""
    vocabulary: PositiveInt = 8192
    """Number of codes."""
    codebook_dim: PositiveInt = 512
    """Dimensions of a code."""
    hidden_dim: PositiveInt = 256
    """Width of the convolutions."""
    num_downsamplings: PositiveInt = 3
    """Convolutions of stride 2."""
    num_residual_blocks: NonNegativeInt = 2
    """Residual blocks."""
    temperature_start: PositiveFloat = 1.0
    """First temperature of Gumbel-softmax; DALL-E (arXiv 2102.12092), appendix A.2."""
    temperature_end: PositiveFloat = 1.0 / 16.0
    """Last temperature of Gumbel-softmax; DALL-E, appendix A.2."""
    kl_weight: NonNegativeFloat = 6.6
    """DALL-E's beta, of a bound summed over pixels and positions (appendix A.2)."""
    kl_warmup_epochs: NonNegativeFloat = 2.0
    """Epochs in which the divergence's weight rises; DALL-E: 5,000 updates of 512 images."""
    # A tenth of the vocabulary; a VQGAN of 16,384 codes has under 12 % in use (arXiv 2406.11837): ADR 9
    min_perplexity: PositiveFloat = 819.0
    """The least perplexity of the codes in use; a job below it fails (ADR 9)."""
    seed: int = 0
    """Seed of all randomness; `--seeds` sets it, a suite never does."""

    def slug(self, inputs: Inputs, mark: str) -> str:
        """Its codes and its images."""
        return f"dvae-{self.vocabulary}-{self.data.name}"

    def scaled_for(self, scale: Scale, variant: VariantName) -> Self:
        """At a scale, with one code a patch of an encoder.

        The least perplexity keeps its share of the vocabulary, and the warm-up of the divergence of the epochs.
        """
        rule = scale.rule(self.kind, RULES)
        sizes, optimization = dict(rule.sizes), rule.schedule.apply(self.optimization, scale.precision)
        share = sizes.get("vocabulary", self.vocabulary) / self.vocabulary
        changes: dict[str, object] = {"min_perplexity": self.min_perplexity * share, **sizes}
        return self.replace(
            data=self.data.scaled(scale),
            image_size=scale.grid(variant) * 2 ** sizes.get("num_downsamplings", self.num_downsamplings),
            optimization=optimization,
            kl_warmup_epochs=self.kl_warmup_epochs * optimization.epochs / self.optimization.epochs,
            **changes,
        )

    def disk_bytes(self, inputs: Inputs) -> int:
        """Its weights and checkpoints."""
        return TOKENIZER_BYTES

    def multiply_adds(self, inputs: Inputs) -> float:
        """Encoder, codebook and decoder."""
        places = (self.image_size / 2**self.num_downsamplings) ** 2
        per_place = 400 * self.hidden_dim**2 + 2 * self.vocabulary * self.codebook_dim
        return 3.0 * places * per_place * self.data.size.train * self.optimization.epochs


class Released(Spec):
    """A file that somebody released and the user brings: the site file's `[assets]` entry of that name."""

    FOLDER: ClassVar[str | None] = "tokenizer"
    IS_COMMON: ClassVar[bool] = True

    kind: Literal["released"]
    name: Literal["dalle_encoder"]
    """The entry of the site file's [assets]."""

    def slug(self, inputs: Inputs, mark: str) -> str:
        """Its name."""
        return self.name


def dvae() -> DVAE:
    """The d-VAE trained on ImageNet-1k without labels (CAE, Sec. 4.1).

    Sizes: the official `--discrete_vae_type customized`. Its training is published nowhere; objective, optimizer, rate,
    batch, temperature and divergence follow DALL-E (arXiv 2102.12092, appendix A), over fewer updates: ADR 9.
    """
    return DVAE(
        kind="dvae",
        data=IMAGENET,
        image_size=112,  # the tokenizer's view in CAE pretraining
        optimization=Optimization(
            optimizer=AdamW(kind="adamw", weight_decay=1e-4),
            epochs=20,
            warmup_epochs=0,
            global_batch=512,
            base_lr=1e-4 * 256 / 512,
            min_lr=1.25e-6,
        ),
    )
