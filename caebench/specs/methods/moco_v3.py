"""MoCo v3 (arXiv 2104.02057): pretraining on ImageNet-1k. Defaults: facebookresearch/moco-v3 (ADR 16)."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from caebench.specs.arithmetic import encode, encoder_parameters
from caebench.specs.inputs.dataset import IMAGE_SIZE, IMAGENET
from caebench.specs.methods.base import Method
from caebench.specs.optim import AdamW, Optimization
from caebench.specs.pretrain import Pretrain
from caebench.specs.scale import MethodRule, Ratios, Scale, Shrink, forget
from caebench.specs.variants import Variant, VariantName


class MoCoV3(Method):
    """MoCo v3 (arXiv 2104.02057): a prediction of one view's momentum features among those of the whole batch."""

    VERSION: ClassVar[int] = 2
    RULES: ClassVar[Mapping[str, MethodRule]] = {
        "nano": MethodRule(Shrink(epochs=0.04, batch=64, lr=2.7), divide={"hidden_dim": 16, "output_dim": 4}),
        "lab": MethodRule(Shrink(epochs=0.1, batch=8, lr=4.0), divide={"hidden_dim": 4, "output_dim": 1}, memory=4.0),
    }

    kind: Literal["moco_v3"]
    temperature: PositiveFloat = 0.2
    """Temperature of the contrastive loss; --moco-t for ViT."""
    momentum: float = Field(default=0.99, ge=0.0, le=1.0)
    """Momentum of the encoder's copy; rises to 1 along a cosine."""
    hidden_dim: PositiveInt = 4096
    """Hidden width of projector and predictor; --moco-mlp-dim."""
    output_dim: PositiveInt = 256
    """Dimensions of a feature; --moco-dim."""
    freeze_patches: bool = True
    """The patch projection stays as it was drawn (Sec. 4.2); --stop-grad-conv1."""
    blur_max: PositiveFloat = 2.0
    """The largest deviation of the blur, in pixels."""

    def shrunk(self, scale: Scale, rule: MethodRule, ratios: Ratios, variant: VariantName) -> dict[str, Any]:
        """Momentum and blur."""
        return {"momentum": forget(self.momentum, rule.memory), "blur_max": self.blur_max * ratios.side}

    def head_parameters(self, dim: int) -> float:
        """Weights of projector and predictor; as many multiply-adds a token."""
        hidden, out = self.hidden_dim, self.output_dim
        return hidden * (dim + hidden + out) + hidden * 2 * out

    def step_multiply_adds(self, variant: Variant, image_size: int) -> float:
        """Both views, online and momentum."""
        return 2 * (3 + 1) * (encode(variant, image_size) + self.head_parameters(variant.dim))

    def num_parameters(self, variant: Variant) -> float:
        """Online and momentum encoder, each with its heads."""
        return 2 * (encoder_parameters(variant) + self.head_parameters(variant.dim))


def moco_v3(variant: VariantName = "vit_b", epochs: int = 300) -> Pretrain:
    """MoCo v3 pretraining. Source: facebookresearch/moco-v3, CONFIG.md and main_moco.py; arXiv 2104.02057, Sec. 5.

    Expects (ViT-B; Table 1): 76.2 linear, 77.0 attentive. MoCo v3's own page says 76.7 linear, and 73.2 for ViT-S.
    Differs from the paper: bf16 in place of fp16 (ADR 8); biases and norms are not decayed (ADR 16).
    """
    optimization = Optimization(
        optimizer=AdamW(kind="adamw", weight_decay=0.1),
        epochs=epochs,
        warmup_epochs=40,
        warmup_end="before_peak",
        global_batch=4096,
        base_lr=1.5e-4,  # --lr, for 256 images
    )
    return Pretrain(
        kind="pretrain",
        variant=variant,
        method=MoCoV3(kind="moco_v3"),
        data=IMAGENET,
        image_size=IMAGE_SIZE,
        optimization=optimization,
    )
