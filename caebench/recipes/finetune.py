"""End-to-end fine-tuning: ImageNet-1k, and the transfer sets of Table 4."""

from typing import NamedTuple

from caebench.config.data import DatasetName, RealData
from caebench.config.optim import AdamW, Optimization
from caebench.config.stage import Finetune
from caebench.config.variants import VariantName
from caebench.recipes.cae import IMAGE_SIZE


class Setting(NamedTuple):
    """What differs between variants."""

    epochs: int
    lr: float
    layer_decay: float
    drop_path: float


# S: CAE, Sec. 4.2 (its drop path is not stated: B's here). B, L: official scripts/cae_{base,large}_finetune.sh.
SETTINGS: dict[str, Setting] = {
    "vit_s": Setting(200, 1.6e-2, 0.75, 0.1),
    "vit_b": Setting(100, 8e-3, 0.65, 0.1),
    "vit_l": Setting(50, 2e-3, 0.75, 0.2),
    "vit_h": Setting(50, 2e-3, 0.75, 0.2),  # no source: ViT-L's
}


def finetune(variant: VariantName = "vit_b") -> Finetune:
    """ImageNet-1k fine-tuning. Source: official scripts/cae_*_finetune.sh; CAE, Sec. 4.2.

    Expects: 83.6 for CAE* ViT-B at 300 epochs (Table 1).
    """
    return _finetune(variant, "imagenet1k")


def food101(variant: VariantName = "vit_b") -> Finetune:
    """Food-101 fine-tuning (Table 4). The paper's recipe is unpublished: the ImageNet recipe (ADR 5)."""
    return _finetune(variant, "food101")


def clipart(variant: VariantName = "vit_b") -> Finetune:
    """DomainNet Clipart fine-tuning (Table 4). The paper's recipe is unpublished: the ImageNet recipe (ADR 5)."""
    return _finetune(variant, "clipart")


def sketch(variant: VariantName = "vit_b") -> Finetune:
    """DomainNet Sketch fine-tuning (Table 4). The paper's recipe is unpublished: the ImageNet recipe (ADR 5)."""
    return _finetune(variant, "sketch")


def _finetune(variant: VariantName, dataset: DatasetName) -> Finetune:
    if variant not in SETTINGS:
        raise ValueError(f"field 'variant' is '{variant}': fine-tuning settings exist for {', '.join(SETTINGS)}")
    setting = SETTINGS[variant]
    return Finetune(
        kind="finetune",
        data=RealData(kind="real", name=dataset),
        image_size=IMAGE_SIZE,
        optimization=Optimization(
            optimizer=AdamW(kind="adamw"),
            epochs=setting.epochs,
            warmup_epochs=5,
            global_batch=4096,
            base_lr=setting.lr * 256 / 4096,
            min_lr=1e-6,
        ),
        layer_decay=setting.layer_decay,
        drop_path=setting.drop_path,
    )
