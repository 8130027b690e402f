"""CAE (arXiv 2202.03026): pretraining on ImageNet-1k."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from caebench.specs.arithmetic import blocks, encode, encoder_parameters
from caebench.specs.inputs.dataset import IMAGE_SIZE, IMAGENET
from caebench.specs.masking import Masking
from caebench.specs.methods.base import Method
from caebench.specs.optim import AdamW, Optimization
from caebench.specs.pretrain import Pretrain
from caebench.specs.scale import MethodRule, Ratios, Scale, Shrink
from caebench.specs.targets import CodeTarget, PixelTarget, Target, make_target
from caebench.specs.variants import LARGE, Variant, VariantName, layer_scale

WARMUP_EPOCHS = {300: 10.0, 800: 20.0, 1600: 40.0}  # official scripts/cae_base_*.sh and README


class CAE(Method):
    """Context autoencoder (CAE, Sec. 3). Defaults: the paper's text, then the official scripts/cae_base_*.sh."""

    RULES: ClassVar[Mapping[str, MethodRule]] = {
        "nano": MethodRule(Shrink(epochs=0.03, batch=64, lr=80.0), depths={1: 1, 2: 2, 4: 3, 5: 4}),
        "lab": MethodRule(Shrink(epochs=0.1, batch=4, lr=4.0)),
    }
    # of parts, from their first change on: what does not have the part keeps its id
    ALIGN_LOSS_VERSIONS: ClassVar[Mapping[str, int]] = {"contrastive": 2}  # in float32

    kind: Literal["cae"]
    target: Target
    """What masked patches are predicted as: codes, or pixels."""
    masking: Masking = Masking()
    """Which patches are masked."""
    regressor_depth: PositiveInt = 4
    """Blocks of the regressor."""
    regressor_attention: Literal["cross", "joint"] = "cross"
    """What its blocks attend with: `cross` to the visible tokens, `joint` to all (CAE, Sec. 5.1)."""
    decoder_depth: NonNegativeInt = 4
    """Blocks of the decoder; 0: a linear head."""
    latent_dim: PositiveInt | None = None
    """Width of regressor and decoder; without it, the encoder's."""
    latent_num_heads: PositiveInt | None = None
    """Attention heads of regressor and decoder; without it, the encoder's."""
    align_weight: NonNegativeFloat = 2.0
    """Weight of the alignment loss, lambda; 0: no alignment."""
    align_loss: Literal["mse", "contrastive"] = "mse"
    """The alignment loss (CAE, Sec. 4.1)."""
    contrastive_temperature: PositiveFloat = 0.1
    """Temperature of the contrastive alignment loss."""
    reconstruction_weight: NonNegativeFloat = 1.0
    """Weight of the prediction loss; 0: the collapse of Sec. 5.5."""
    layer_scale: PositiveFloat = 0.1
    """What the encoder's layer scale starts from; official --layer_scale_init_value, 1e-5 for ViT-L."""
    latent_layer_scale: PositiveFloat = 0.1
    """What layer scale of regressor and decoder starts from; --decoder_layer_scale_init_value."""
    drop_path: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Stochastic depth of the encoder's last block; it grows linearly from 0."""
    target_drop_path: bool = True
    """Stochastic depth in the alignment target too, as in the official code."""
    init: Literal["xavier", "truncated_normal"] = "xavier"
    """Initial weights: `xavier` is the official default, `truncated_normal` is --fix_init_weight for ViT-L."""

    def versions(self) -> list[int]:
        """Of the method, its alignment loss and its codes."""
        loss = [self.ALIGN_LOSS_VERSIONS[self.align_loss]] if self.align_loss in self.ALIGN_LOSS_VERSIONS else []
        return [self.VERSION, *loss, *self.target.VERSIONS]

    def code_target(self) -> CodeTarget | None:
        """The codes; None for pixels."""
        return None if isinstance(self.target, PixelTarget) else self.target

    def bare(self) -> Self:
        """See `Method`."""
        return self.replace(decoder_depth=0, align_weight=0.0)

    def words(self, images: str) -> str:
        """The method and its target."""
        return f"{self.kind}-{self.target.words(images)}"

    def shrunk(self, scale: Scale, rule: MethodRule, ratios: Ratios, variant: VariantName) -> dict[str, Any]:
        """Target, and the depths of regressor and decoder."""
        return {
            "target": self.target.scaled(scale, variant),
            "regressor_depth": rule.depths.get(self.regressor_depth, self.regressor_depth),
            "decoder_depth": rule.depths.get(self.decoder_depth, self.decoder_depth),
        }

    def step_multiply_adds(self, variant: Variant, image_size: int) -> float:
        """Visible patches through the encoder, masked ones through the rest; the alignment target goes forward only."""
        patches = (image_size / variant.patch_size) ** 2
        masked = self.masking.ratio * patches
        encoder = encode(variant, image_size, 1 - self.masking.ratio)
        aligned = encode(variant, image_size, self.masking.ratio)
        latent = blocks(variant.dim, self.regressor_depth, masked, patches)
        latent += blocks(variant.dim, self.decoder_depth, masked, masked)
        outputs = masked * variant.dim * self.target.num_outputs(variant)
        return 3 * (encoder + latent + outputs) + aligned + self.target.multiply_adds(patches)

    def num_parameters(self, variant: Variant) -> float:
        """Encoder, regressor and decoder."""
        return encoder_parameters(variant) * (1 + (self.regressor_depth + self.decoder_depth) / variant.depth)


def cae(
    variant: VariantName = "vit_b", epochs: int = 300, target: Literal["dalle", "dvae", "pixels"] = "dalle"
) -> Pretrain:
    """CAE pretraining. Source: the official scripts/cae_{base,large}_*.sh; CAE, Sec. 4.1.

    Expects (CAE*, ViT-B, 300 epochs; Tables 1 and 5): 64.1 linear, 73.8 attentive, 83.6 fine-tuned. About 2,770
    V100-hours for 800 epochs of ViT-B (official log).
    Differs from the paper: bf16 in place of fp16 (ADR 8). ViT-S: its settings are unpublished; ViT-B's here.
    """
    method = CAE(
        kind="cae",
        target=make_target(target),
        layer_scale=layer_scale(variant),
        latent_layer_scale=layer_scale(variant),  # --decoder_layer_scale_init_value
        init="truncated_normal" if variant in LARGE else "xavier",  # --fix_init_weight
    )
    optimization = Optimization(
        optimizer=AdamW(kind="adamw"),
        epochs=epochs,
        warmup_epochs=WARMUP_EPOCHS.get(epochs, epochs / 40),
        global_batch=2048,  # 32 x 64
        base_lr=1.5e-3 * 256 / 2048,  # --lr 1.5e-3, not scaled by the batch
        min_lr=1e-5,
        clip_grad=3.0,
    )
    return Pretrain(
        kind="pretrain",
        variant=variant,
        method=method,
        data=IMAGENET,
        image_size=IMAGE_SIZE,
        optimization=optimization,
    )


def cae_of(config: Pretrain) -> CAE:
    """The method of a pretraining that is CAE's."""
    assert isinstance(config.method, CAE)
    return config.method
