"""Segmentation on ADE20K, detection on COCO."""

from typing import Literal, NamedTuple

from caebench.config.data import RealData
from caebench.config.dense import DenseOptimization, Detection, KNNSegmentation, LearningRateGrid, Segmentation
from caebench.config.optim import AdamW
from caebench.config.variants import VARIANTS, VariantName

Head = Literal["mask_rcnn", "cascade_mask_rcnn"]


class Setting(NamedTuple):
    """What differs between variants."""

    lr: float
    layer_decay: float
    drop_path: float


ADE20K = RealData(kind="real", name="ade20k")

# B, L: official configs_local/cae/upernet. S: the paper has no ViT-S in Table 2; B's settings.
SETTINGS: dict[str, Setting] = {
    "vit_s": Setting(3e-4, 0.65, 0.1),
    "vit_b": Setting(3e-4, 0.65, 0.1),
    "vit_l": Setting(4e-5, 0.95, 0.15),
    "vit_h": Setting(4e-5, 0.95, 0.15),  # no source: ViT-L's
}


def ade20k(variant: VariantName = "vit_b") -> Segmentation:
    """UperNet on ADE20K. Source: the official configs_local/cae/upernet and _base_/models/upernet_cae.py.

    Expects: 48.3 mIoU for CAE* ViT-B at 300 epochs (Tables 2 and 5).
    Differs from the paper: bf16 in place of fp16 (ADR 8); only the last iteration is evaluated (ADR 12).
    """
    setting = SETTINGS[variant]
    return Segmentation(
        kind="segmentation",
        data=ADE20K,
        optimization=DenseOptimization(
            optimizer=AdamW(kind="adamw"),
            iterations=160_000,
            warmup_iterations=1500,
            warmup_ratio=1e-6,
            global_batch=16,
            lr=setting.lr,
            layer_decay=setting.layer_decay,
            schedule="poly",
        ),
        crop_size=512,
        stride=341,
        channels=VARIANTS[variant].dim,
        drop_path=setting.drop_path,
    )


RATES: dict[str, tuple[float, ...]] = {
    "vit_s": (1e-4, 2e-4, 3e-4, 4e-4),
    "vit_b": (1e-4, 2e-4, 3e-4, 4e-4),
    "vit_l": (3e-5, 4e-5, 5e-5),
    "vit_h": (3e-5, 4e-5, 5e-5),  # no source: ViT-L's
}


def ade20k_grid(variant: VariantName = "vit_b") -> LearningRateGrid:
    """UperNet at each of several learning rates, and the best of them. Source: the rates of CAE's Table 2.

    Every method gets the same rates: the official configs have one a checkpoint.
    """
    return LearningRateGrid(kind="lr_grid", task=ade20k(variant), rates=RATES[variant])


def linear_segmentation(variant: VariantName = "vit_b") -> Segmentation:
    """A linear layer on frozen patch tokens, the same for every variant. Source: DINOv2 (arXiv 2304.07193), Sec. 7.4.

    Not in the paper.
    """
    return Segmentation(
        kind="segmentation",
        data=ADE20K,
        optimization=DenseOptimization(
            optimizer=AdamW(kind="adamw", weight_decay=1e-4),
            iterations=40_000,
            warmup_iterations=1500,
            warmup_ratio=1e-6,
            global_batch=16,
            lr=1e-3,
            layer_decay=1.0,
            schedule="poly",
        ),
        crop_size=512,
        stride=341,
        channels=VARIANTS[variant].dim,
        drop_path=0.0,
        relative_position_bias=False,
        head="linear",
    )


def knn_segmentation(variant: VariantName = "vit_b") -> KNNSegmentation:
    """Nearest neighbours of frozen patch tokens. Source: Hummingbird (arXiv 2306.01667), Sec. 3.1; not in the paper.

    Differs from it: a tenth of its bank of patches, which then fits any GPU.
    """
    return KNNSegmentation(kind="knn_segmentation", data=ADE20K, image_size=512)


# B, L: official configs/mask_rcnn/vit_{base,large}_giou_4conv1f_*. S: CAE, Sec. 4.2.
DETECTION_SETTINGS: dict[str, Setting] = {
    "vit_s": Setting(3e-4, 0.75, 0.1),
    "vit_b": Setting(3e-4, 0.75, 0.2),
    "vit_l": Setting(2e-4, 0.85, 0.2),
    "vit_h": Setting(2e-4, 0.85, 0.2),  # no source: ViT-L's
}
IMAGES_WITH_OBJECTS = 117_266  # of train2017: the others are left out of training
EPOCHS, BATCH = 12, 32


def coco(variant: VariantName = "vit_b") -> Detection:
    """Mask R-CNN on COCO. Source: the official configs/mask_rcnn/vit_*_giou_4conv1f_*; CAE, Sec. 4.2.

    Expects: 48.4 box AP for CAE* ViT-B at 300 epochs (Tables 3 and 5).
    Differs from the paper: bf16 in place of fp16 (ADR 8).
    """
    return _detection(variant, "mask_rcnn")


def coco_cascade(variant: VariantName = "vit_b") -> Detection:
    """Cascade Mask R-CNN on COCO (Table 6). Source: the official configs/_base_/models/cascade_mask_rcnn_vit_fpn.py.

    Differs from the paper: its schedule is unpublished, here it is that of Mask R-CNN (ADR 12).
    """
    return _detection(variant, "cascade_mask_rcnn")


def _detection(variant: VariantName, head: Head) -> Detection:
    setting = DETECTION_SETTINGS[variant]
    return Detection(
        kind="detection",
        data=RealData(kind="real", name="coco"),
        optimization=DenseOptimization(
            optimizer=AdamW(kind="adamw"),
            iterations=EPOCHS * (IMAGES_WITH_OBJECTS // BATCH),
            warmup_iterations=500,
            warmup_ratio=0.001,
            global_batch=BATCH,
            lr=setting.lr,
            layer_decay=setting.layer_decay,
            schedule="step",
            milestones=(9 / EPOCHS, 11 / EPOCHS),
        ),
        head=head,
        short_sides=tuple(range(480, 801, 32)),
        long_side=1333,
        drop_path=setting.drop_path,
    )
