"""MAE (arXiv 2111.06377): pretraining on ImageNet-1k. Defaults: the official facebookresearch/mae (ADR 16)."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import PositiveInt

from caebench.specs.arithmetic import blocks, encode, encoder_parameters
from caebench.specs.inputs.dataset import IMAGE_SIZE, IMAGENET
from caebench.specs.masking import Masking
from caebench.specs.methods.base import Method
from caebench.specs.optim import AdamW, Optimization
from caebench.specs.pretrain import Pretrain
from caebench.specs.scale import MethodRule, Shrink
from caebench.specs.variants import Variant, VariantName


class MAE(Method):
    """Masked autoencoder (arXiv 2111.06377): a random quarter is encoded, pixels of the rest are decoded."""

    VERSION: ClassVar[int] = 2
    RULES: ClassVar[Mapping[str, MethodRule]] = {
        "nano": MethodRule(  # docs/performance.md
            Shrink(epochs=56.5, power=0.1, batch=128, lr=107.0),
            divide={"decoder_dim": 8, "decoder_depth": 4, "decoder_num_heads": 4},
        ),
        "lab": MethodRule(
            Shrink(epochs=0.1, batch=8, lr=4.0), divide={"decoder_dim": 2, "decoder_depth": 2, "decoder_num_heads": 2}
        ),
    }

    kind: Literal["mae"]
    masking: Masking = Masking(kind="random", ratio=0.75, rounding="visible_down")
    """Which patches are masked (Sec. 4.1, Fig. 5)."""
    normalize_patches: bool = True
    """Pixels are normalised within each patch; --norm_pix_loss."""
    decoder_dim: PositiveInt = 512
    """Width of the decoder, the same for every encoder; Table 1 (a, b)."""
    decoder_depth: PositiveInt = 8
    """Blocks of the decoder."""
    decoder_num_heads: PositiveInt = 16
    """Attention heads of the decoder."""

    def step_multiply_adds(self, variant: Variant, image_size: int) -> float:
        """Visible patches through the encoder, all through the decoder."""
        patches = (image_size / variant.patch_size) ** 2
        decoder = blocks(self.decoder_dim, self.decoder_depth, patches, patches)
        return 3 * (encode(variant, image_size, 1 - self.masking.ratio) + decoder)

    def num_parameters(self, variant: Variant) -> float:
        """Encoder and decoder."""
        return encoder_parameters(variant) + 12 * self.decoder_dim**2 * self.decoder_depth


def mae(variant: VariantName = "vit_b", epochs: int = 1600) -> Pretrain:
    """MAE pretraining. Source: facebookresearch/mae, PRETRAIN.md and main_pretrain.py; arXiv 2111.06377, Table 8.

    Expects (1600 epochs; Table 1): ViT-B 67.8 linear, 74.2 attentive, 83.6 fine-tuned; ViT-L 76.0, 78.8, 86.0.
    Differs from the paper: bf16 in place of fp16 (ADR 8); the order of sin-cos channels (ADR 16). ViT-S: its settings
    are unpublished; ViT-B's here.
    """
    optimization = Optimization(
        optimizer=AdamW(kind="adamw", beta2=0.95),
        epochs=epochs,
        warmup_epochs=40,
        warmup_end="before_peak",
        global_batch=4096,  # 64 x 64
        base_lr=1.5e-4,  # --blr, for 256 images
    )
    return Pretrain(
        kind="pretrain",
        variant=variant,
        method=MAE(kind="mae"),
        data=IMAGENET,
        image_size=IMAGE_SIZE,
        optimization=optimization,
        crop_scale_min=0.2,
    )
