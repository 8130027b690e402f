"""iBOT pretraining on ImageNet-1k."""

from caebench.config.compared import IBOT
from caebench.config.stage import Pretrain
from caebench.config.variants import VariantName
from caebench.recipes.cae import IMAGE_SIZE, IMAGENET
from caebench.recipes.dino import distillation_schedule


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
