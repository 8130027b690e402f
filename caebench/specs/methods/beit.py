"""BEiT (arXiv 2106.08254): pretraining on ImageNet-1k. Defaults: the official microsoft/unilm, beit (ADR 16)."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat

from caebench.specs.arithmetic import encode, encoder_parameters
from caebench.specs.inputs.dataset import IMAGE_SIZE, IMAGENET
from caebench.specs.masking import Masking
from caebench.specs.methods.base import Method
from caebench.specs.optim import AdamW, Optimization
from caebench.specs.pretrain import Pretrain
from caebench.specs.scale import MethodRule, Ratios, Scale, Shrink
from caebench.specs.targets import CodeTarget, DALLETarget
from caebench.specs.variants import Variant, VariantName, layer_scale


class BEiT(Method):
    """BEiT (arXiv 2106.08254): DALL-E's codes at masked patches, for which a mask token stands in the encoder."""

    RULES: ClassVar[Mapping[str, MethodRule]] = {
        "nano": MethodRule(Shrink(epochs=62.2, power=0.1, batch=64, lr=64.0)),  # docs/performance.md
        "lab": MethodRule(Shrink(epochs=0.1, batch=4, lr=4.0)),
    }

    kind: Literal["beit"]
    target: Annotated[CodeTarget, Field(discriminator="kind")]
    """The tokenizer whose codes are predicted."""
    masking: Masking = Masking(ratio=75 / 196)
    """Which patches are masked; --num_mask_patches 75."""
    color_jitter: NonNegativeFloat = 0.4
    """Strength in brightness, contrast and saturation; --color_jitter."""
    layer_scale: PositiveFloat = 0.1
    """What layer scale starts from; 1e-5 for ViT-L."""
    drop_path: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Stochastic depth of the encoder's last block; it grows linearly from 0."""
    init_std: PositiveFloat = 0.02
    """Deviation of initial linear weights; a scale multiplies it by 1 / sqrt(width) from ViT-B's 768."""

    def versions(self) -> list[int]:
        """Of the method and its codes."""
        return [self.VERSION, *self.target.VERSIONS]

    def code_target(self) -> CodeTarget:
        """The codes."""
        return self.target

    def words(self, images: str) -> str:
        """The method and its target."""
        return f"{self.kind}-{self.target.words(images)}"

    def shrunk(self, scale: Scale, rule: MethodRule, ratios: Ratios, variant: VariantName) -> dict[str, Any]:
        """The target."""
        return {"target": self.target.scaled(scale, variant)}

    def step_multiply_adds(self, variant: Variant, image_size: int) -> float:
        """All patches, mask tokens too, through the encoder; the head on the masked ones."""
        patches = (image_size / variant.patch_size) ** 2
        head = self.masking.ratio * patches * variant.dim * self.target.vocabulary
        return 3 * (encode(variant, image_size) + head) + self.target.multiply_adds(patches)

    def num_parameters(self, variant: Variant) -> float:
        """Encoder and head."""
        return encoder_parameters(variant) + variant.dim * self.target.vocabulary


def beit(variant: VariantName = "vit_b", epochs: int = 800) -> Pretrain:
    """BEiT pretraining. Source: microsoft/unilm, beit/README.md (ImageNet-1k) and run_beit_pretraining.py.

    Expects (Table 1): ViT-S, 300 epochs, 15.7 linear; the other cells were not found.
    Differs from the paper: bf16 in place of fp16 (ADR 8); exactly 75 masked patches, where the official masks hold up
    to 75 (ADR 16). ViT-S has CAE's 12 heads; its settings are unpublished: ViT-B's here.
    """
    optimization = Optimization(
        optimizer=AdamW(kind="adamw"),
        epochs=epochs,
        warmup_epochs=10,
        global_batch=2048,  # 16 x 128
        base_lr=1.5e-3 * 256 / 2048,  # --lr 1.5e-3, not scaled by the batch
        min_lr=1e-5,
        clip_grad=3.0,
    )
    method = BEiT(kind="beit", target=DALLETarget(kind="dalle"), layer_scale=layer_scale(variant))
    return Pretrain(
        kind="pretrain",
        variant=variant,
        method=method,
        data=IMAGENET,
        image_size=IMAGE_SIZE,
        optimization=optimization,
    )
