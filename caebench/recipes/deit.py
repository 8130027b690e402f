"""DeiT's supervised training on ImageNet-1k."""

from caebench.config.compared import DeiT
from caebench.config.optim import AdamW, Optimization
from caebench.config.stage import Pretrain
from caebench.config.variants import VariantName
from caebench.recipes.cae import IMAGE_SIZE, IMAGENET


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
