"""BEiT pretraining on ImageNet-1k."""

from caebench.config.compared import BEiT
from caebench.config.method import DALLETarget
from caebench.config.optim import AdamW, Optimization
from caebench.config.stage import Pretrain
from caebench.config.variants import VariantName
from caebench.recipes.cae import IMAGE_SIZE, IMAGENET, layer_scale


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
