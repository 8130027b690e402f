"""DINO pretraining on ImageNet-1k."""

from caebench.config.compared import DINO
from caebench.config.optim import AdamW, Optimization
from caebench.config.stage import Pretrain
from caebench.config.variants import VariantName
from caebench.recipes.cae import IMAGE_SIZE, IMAGENET

BATCH = 1024


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


def distillation_schedule(epochs: int) -> Optimization:
    """What the released ViT-B of DINO and of iBOT share."""
    return Optimization(
        optimizer=AdamW(kind="adamw", weight_decay=0.04, weight_decay_end=0.4),
        epochs=epochs,
        warmup_epochs=10,
        global_batch=BATCH,
        base_lr=7.5e-4,  # --lr, for 256 images
        min_lr=2e-6,
        clip_grad=0.3,
        clip_grad_of="each",
    )
