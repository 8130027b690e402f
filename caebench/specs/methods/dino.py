"""DINO (arXiv 2104.14294): pretraining on ImageNet-1k. Defaults: facebookresearch/dino (ADR 16)."""

from typing import Literal

from pydantic import PositiveInt

from caebench.specs.inputs.dataset import IMAGE_SIZE, IMAGENET
from caebench.specs.methods.self_distillation import SelfDistillation, distillation_schedule
from caebench.specs.pretrain import Pretrain
from caebench.specs.variants import VariantName


class DINO(SelfDistillation):
    """DINO (arXiv 2104.14294): the class token of small crops must assign as the teacher's of large ones."""

    kind: Literal["dino"]
    prototypes: PositiveInt = 65536


def dino(variant: VariantName = "vit_b", epochs: int = 400) -> Pretrain:
    """DINO pretraining. Source: the arguments of the released ViT-B/16 (facebookresearch/dino); arXiv 2104.14294.

    Expects (ViT-B, 400 epochs; Table 1): 77.3 linear, 77.8 attentive. DINO's own page says 78.2 linear.
    Differs from the paper: bf16, which the official ViT-B run does without (ADR 8, 16). ViT-S: ViT-B's settings, and
    CAE's 12 heads; ViT-L is not published.
    """
    return Pretrain(
        kind="pretrain",
        variant=variant,
        method=DINO(kind="dino"),
        data=IMAGENET,
        image_size=IMAGE_SIZE,
        optimization=distillation_schedule(epochs),
        crop_scale_min=0.25,  # of the large crops; --global_crops_scale
    )
