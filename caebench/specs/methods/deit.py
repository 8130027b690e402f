"""DeiT (arXiv 2012.12877): supervised training on ImageNet-1k. Defaults: facebookresearch/deit (ADR 16)."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from caebench.specs.arithmetic import encode
from caebench.specs.inputs.dataset import IMAGE_SIZE, IMAGENET
from caebench.specs.methods.base import Method
from caebench.specs.mixing import Mixing
from caebench.specs.optim import AdamW, Optimization
from caebench.specs.pretrain import Pretrain
from caebench.specs.scale import MethodRule, Ratios, Scale, Shrink, mixing_group
from caebench.specs.variants import Variant, VariantName


class DeiT(Method):
    """Supervised training with DeiT's recipe (arXiv 2012.12877, Table 9), no distillation."""

    VERSION: ClassVar[int] = 2
    RULES: ClassVar[Mapping[str, MethodRule]] = {
        "nano": MethodRule(Shrink(epochs=36.0, power=0.25, batch=32, lr=16.0)),  # docs/performance.md
        "lab": MethodRule(Shrink(epochs=0.1, batch=4, lr=4.0)),
    }

    kind: Literal["deit"]
    mixing: Mixing = Mixing()
    """Mixup and cutmix."""
    label_smoothing: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Share of the label that is spread over all classes."""
    randaugment: str = "rand-m9-mstd0.5-inc1"
    """RandAugment, in timm's notation."""
    random_erasing: float = Field(default=0.25, ge=0.0, le=1.0)
    """Probability of random erasing."""
    flip: float = Field(default=0.5, ge=0.0, le=1.0)
    """Probability of a horizontal flip."""
    repeats: PositiveInt = 3
    """Copies of an image in an epoch: repeated augmentation."""
    drop_path: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Stochastic depth of the encoder's last block; it grows linearly from 0."""
    init_std: PositiveFloat = 0.02
    """Deviation of initial linear weights; a scale multiplies it by 1 / sqrt(width) from ViT-B's 768."""

    def check(self, optimization: Optimization) -> None:
        """Refuse groups of mixed images that do not fill the batch.

        Raises:
            ValueError: a group does not divide the batch.
        """
        self.mixing.check(optimization.global_batch)

    def shrunk(self, scale: Scale, rule: MethodRule, ratios: Ratios, variant: VariantName) -> dict[str, Any]:
        """The groups of mixed images."""
        return {"mixing": self.mixing.replace(group=mixing_group(self.mixing.group, ratios.batch))}

    def step_multiply_adds(self, variant: Variant, image_size: int) -> float:
        """The encoder."""
        return 3 * encode(variant, image_size)


def deit(variant: VariantName = "vit_b", epochs: int = 300) -> Pretrain:
    """Supervised training. Source: facebookresearch/deit, main.py; arXiv 2012.12877, Table 9.

    Expects: the cells of Table 1 were not found; DeiT's own accuracy is 81.8 for ViT-B, 79.8 for ViT-S.
    Differs from the paper: bf16 in place of fp16 (ADR 8); two copies of an image may mix with each other (ADR 16).
    ViT-S has CAE's 12 heads, where DeiT's has 6.
    """
    optimization = Optimization(
        optimizer=AdamW(kind="adamw"),
        epochs=epochs,
        warmup_epochs=5,
        global_batch=1024,
        base_lr=5e-4 * 256 / 512,  # --lr 5e-4, for 512 images
        min_lr=1e-5,
    )
    return Pretrain(
        kind="pretrain",
        variant=variant,
        method=DeiT(kind="deit"),
        data=IMAGENET,
        image_size=IMAGE_SIZE,
        optimization=optimization,
    )
