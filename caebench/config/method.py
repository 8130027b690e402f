"""CAE, its targets and their tokenizers; the other methods are in `compared`.

Recipes name the values; here are the fields, their ranges and sources.
"""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from caebench.config.base import Config
from caebench.config.data import Data
from caebench.config.optim import Optimization


class DVAE(Config):
    """A discrete VAE that caebench trains without labels: the tokenizer behind the paper's rows called CAE.

    Sizes: the official code's `--discrete_vae_type customized` (8192 codes of 512 dimensions, hidden width 256,
    three stride-2 convolutions, two residual blocks).
    """

    kind: Literal["dvae"]
    data: Data
    image_size: PositiveInt
    optimization: Optimization
    vocabulary: PositiveInt = 8192
    codebook_dim: PositiveInt = 512
    hidden_dim: PositiveInt = 256
    num_downsamplings: PositiveInt = 3
    num_residual_blocks: NonNegativeInt = 2
    temperature_start: PositiveFloat = 1.0  # Gumbel-softmax, DALL-E (arXiv 2102.12092), appendix A.2
    temperature_end: PositiveFloat = 1.0 / 16.0
    kl_weight: NonNegativeFloat = 6.6  # DALL-E's beta, of a bound summed over pixels and positions (appendix A.2)
    kl_warmup_epochs: NonNegativeFloat = 2.0  # DALL-E: 5,000 updates of 512 images
    # A tenth of the vocabulary; a VQGAN of 16,384 codes has under 12 % in use (arXiv 2406.11837): ADR 9
    min_perplexity: PositiveFloat = 819.0
    seed: int = 0


class Released(Config):
    """A file that somebody released and the user brings: the site file's `[assets]` entry of that name."""

    kind: Literal["released"]
    name: Literal["dalle_encoder"]


class DALLETarget(Config):
    """Codes of the DALL-E encoder, read by a job of its own from the released file."""

    kind: Literal["dalle"]
    vocabulary: PositiveInt = 8192


class DVAETarget(Config):
    """Codes of a discrete VAE, trained by a job of its own."""

    kind: Literal["dvae"]
    tokenizer: DVAE

    @property
    def vocabulary(self) -> int:
        """The number of codes."""
        return self.tokenizer.vocabulary


class PixelTarget(Config):
    """The patch's own RGB values (CAE, Table 8). Normalisation is not published: ADR 6."""

    kind: Literal["pixels"]
    normalize_patches: bool = False


Target = Annotated[DALLETarget | DVAETarget | PixelTarget, Field(discriminator="kind")]


class Masking(Config):
    """Which patches are masked: an exact count, the same for every image."""

    kind: Literal["block", "random"] = "block"
    ratio: float = Field(default=0.5, gt=0.0, lt=1.0)  # CAE, Sec. 4.1: 98 of 196
    min_block_patches: PositiveInt = 16  # official --min_mask_patches_per_block
    min_aspect: float = Field(default=0.3, gt=0.0, le=1.0)  # official masking_generator.py; the largest is its inverse
    rounding: Literal["nearest", "visible_down"] = "nearest"  # visible_down: MAE keeps int(patches * (1 - ratio))

    def num_masked(self, num_patches: int) -> int:
        """Masked patches of an image."""
        if self.rounding == "visible_down":
            return num_patches - int(num_patches * (1 - self.ratio))
        return round(self.ratio * num_patches)


class CAE(Config):
    """Context autoencoder (CAE, Sec. 3). Defaults: the paper's text, then the official scripts/cae_base_*.sh."""

    kind: Literal["cae"]
    target: Target
    masking: Masking = Masking()
    regressor_depth: PositiveInt = 4
    regressor_attention: Literal["cross", "joint"] = "cross"  # joint: CAE, Sec. 5.1
    decoder_depth: NonNegativeInt = 4  # 0: a linear head
    latent_dim: PositiveInt | None = None  # width of regressor and decoder; None: the encoder's
    latent_num_heads: PositiveInt | None = None  # None: the encoder's
    align_weight: NonNegativeFloat = 2.0  # lambda; 0: no alignment
    align_loss: Literal["mse", "contrastive"] = "mse"  # CAE, Sec. 4.1
    contrastive_temperature: PositiveFloat = 0.1
    reconstruction_weight: NonNegativeFloat = 1.0  # 0: the collapse of Sec. 5.5
    layer_scale: PositiveFloat = 0.1  # official --layer_scale_init_value; 1e-5 for ViT-L
    latent_layer_scale: PositiveFloat = 0.1
    drop_path: float = Field(default=0.1, ge=0.0, lt=1.0)
    target_drop_path: bool = True  # stochastic depth in the alignment target too, as in the official code
    init: Literal["xavier", "truncated_normal"] = "xavier"  # official default; --fix_init_weight for ViT-L
