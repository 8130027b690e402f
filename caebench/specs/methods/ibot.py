"""iBOT (arXiv 2111.07832): pretraining on ImageNet-1k. Defaults: bytedance/ibot (ADR 16)."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from caebench.specs.inputs.dataset import IMAGE_SIZE, IMAGENET
from caebench.specs.masking import Masking
from caebench.specs.methods.self_distillation import SelfDistillation, distillation_schedule
from caebench.specs.pretrain import Pretrain
from caebench.specs.variants import VariantName


class IBOT(SelfDistillation):
    """iBOT (arXiv 2111.07832): DINO, and at masked patches of the student's view the teacher's patch assignments."""

    kind: Literal["ibot"]
    prototypes: PositiveInt = 8192
    """Outputs of the head, one for class token and patches; --shared_head."""
    local_scale_max: float = Field(default=0.32, gt=0.0, le=1.0)
    masking: Masking = Masking(ratio=0.3)
    """Which patches of a large crop are masked; its ratio is the middle of --pred_ratio 0 0.3."""
    mask_ratio_spread: float = Field(default=0.2, ge=0.0, lt=1.0)
    """How far the ratio spreads to either side; --pred_ratio_var 0 0.2."""
    mask_probability: float = Field(default=0.5, ge=0.0, le=1.0)
    """Probability that a view is masked at all."""
    patch_center_momentum: float = Field(default=0.9, ge=0.0, le=1.0)
    """Momentum of the centre of the patches' outputs."""
    patch_teacher_temperature: PositiveFloat = 0.07
    """The teacher's temperature for patches, after its rise."""
    patch_teacher_temperature_start: PositiveFloat = 0.04
    """The teacher's temperature for patches at the start."""
    class_weight: NonNegativeFloat = 1.0
    """Weight of the class token's loss; --lambda1."""
    patch_weight: NonNegativeFloat = 1.0
    """Weight of the patches' loss; --lambda2."""

    def num_places(self, patches: float) -> float:
        """The patches go through the head as well."""
        return 1.0 + patches


def ibot(variant: VariantName = "vit_b", epochs: int = 400) -> Pretrain:
    """iBOT pretraining. Source: the arguments of the released ViT-B/16 (bytedance/ibot); arXiv 2111.07832, appendix B.

    Expects: 79.5 linear and 83.8 fine-tuned on iBOT's own page; it is not in the paper's Table 1.
    Differs from the paper: bf16 in place of fp16 (ADR 8); an exact count of masked patches (ADR 16). ViT-S and ViT-L:
    ViT-B's settings, and CAE's 12 heads for ViT-S.
    """
    return Pretrain(
        kind="pretrain",
        variant=variant,
        method=IBOT(kind="ibot"),
        data=IMAGENET,
        image_size=IMAGE_SIZE,
        optimization=distillation_schedule(epochs),
        crop_scale_min=0.32,  # of the large crops; --global_crops_scale
    )
