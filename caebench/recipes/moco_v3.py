"""MoCo v3 pretraining on ImageNet-1k."""

from caebench.config.compared import MoCoV3
from caebench.config.optim import AdamW, Optimization
from caebench.config.stage import Pretrain
from caebench.config.variants import VariantName
from caebench.recipes.cae import IMAGE_SIZE, IMAGENET


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
