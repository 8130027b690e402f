"""MAE pretraining on ImageNet-1k."""

from caebench.config.compared import MAE
from caebench.config.optim import AdamW, Optimization
from caebench.config.stage import Pretrain
from caebench.config.variants import VariantName
from caebench.recipes.cae import IMAGE_SIZE, IMAGENET


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
