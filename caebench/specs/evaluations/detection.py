"""Detection in COCO's format: Mask R-CNN and Cascade Mask R-CNN."""

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import PositiveInt, model_validator

from caebench.specs.arithmetic import blocks
from caebench.specs.base import Config
from caebench.specs.dense_optim import DenseOptimization
from caebench.specs.evaluations.dense import DenseTask
from caebench.specs.evaluations.segmentation import Setting
from caebench.specs.inputs.named import DataName, named
from caebench.specs.job import Inputs, Protocol, Speed, describe_optimization, encoder_size
from caebench.specs.optim import AdamW
from caebench.specs.scale import DenseShrink, Scale, divided
from caebench.specs.variants import VariantName

Head = Literal["mask_rcnn", "cascade_mask_rcnn"]
FEWER = ("num_rois", "num_proposals", "num_detections")
RULES: Mapping[str, DenseShrink] = {
    "nano": DenseShrink(
        iterations=0.0046,
        batch=8,
        lr=3.5,
        side=64 / 800,
        divide={"channels": 8, "fc_channels": 8, **dict.fromkeys(FEWER, 20)},
        depth=12.0,
    ),
    "lab": DenseShrink(iterations=0.1, batch=1, lr=2.0, side=192 / 800, divide={"channels": 2, "fc_channels": 2}),
}


FINEST_CELLS = 4  # of the pyramid's finest map, along a patch


class Detector(Config):
    """The network on the encoder."""

    head: Literal["mask_rcnn", "cascade_mask_rcnn"]
    """Mask R-CNN, or Cascade Mask R-CNN."""
    channels: PositiveInt = 256
    """Width of FPN, RPN and both heads."""
    fc_channels: PositiveInt = 1024
    """Width of the box head's linear layers."""
    num_rois: PositiveInt = 512
    """Regions of an image that are sampled for the heads."""
    num_proposals: PositiveInt = 1000
    """Regions that the RPN keeps of an image at test; in training twice as many."""
    num_detections: PositiveInt = 100
    """Detections of an image, at most."""


class Detection(DenseTask, Detector):
    """Mask R-CNN or Cascade Mask R-CNN on an encoder that trains along (official downstream_tasks/detection)."""

    VERSION: ClassVar[int] = 2
    METRICS: ClassVar[tuple[str, ...]] = ("AP_box", "AP_box50", "AP_box75", "AP_mask", "AP_mask50", "AP_mask75")
    LABELS: ClassVar[tuple[str, ...]] = ("instances",)
    SPEED: ClassVar[Speed] = "dense"

    kind: Literal["detection"]
    short_sides: tuple[PositiveInt, ...]
    """Short sides of a training image in pixels, by chance; the last one at test."""
    long_side: PositiveInt
    """The long side in pixels, at most."""
    first_short_sides: tuple[PositiveInt, ...] = (400, 500, 600)
    """Short sides in pixels before the crop, in the policy that crops."""
    crop_sides: tuple[PositiveInt, PositiveInt] = (384, 600)
    """The crop's least and most, in pixels."""
    orientation_group: PositiveInt = 2
    """Images in a row that are all wider than tall, or none; the official code's: those of one GPU."""

    @property
    def batch_multiple(self) -> int:
        """See `DenseTask`: the images of a row."""
        return self.orientation_group

    @model_validator(mode="after")
    def _check_groups(self) -> Self:
        batch = self.optimization.global_batch
        if batch % self.orientation_group:
            raise ValueError(
                f"orientation_group {self.orientation_group}: it must divide optimization.global_batch {batch}. "
                "Choose a divisor of it"
            )
        return self

    def check(self, inputs: Inputs) -> None:
        """See `Spec`; and patches whose quarters are no whole pixels.

        Raises:
            ValueError: the strides of the pyramid's maps would not be whole numbers.
        """
        super().check(inputs)
        if (patch_size := encoder_size(inputs).patch_size) % FINEST_CELLS:
            raise ValueError(
                f"the encoder has patches of {patch_size} pixels: detection needs a multiple of {FINEST_CELLS}, since "
                "its finest map has that many cells along a patch. Choose another encoder, or segmentation."
            )

    def slug(self, inputs: Inputs, mark: str) -> str:
        """Data set, the head where it is a cascade, and the encoder."""
        head = "-cascade" if self.head == "cascade_mask_rcnn" else ""
        return f"{self.data.name}{head}{mark}-{inputs['encoder'].slug}"

    def scaled(self, scale: Scale) -> Self:
        """Fewer iterations on smaller images, and narrower heads with fewer regions."""
        rule = scale.rule(self.kind, RULES)
        sides = ("short_sides", "first_short_sides", "crop_sides")
        return self.replace(
            data=self.data.scaled(scale),
            optimization=rule.apply(self.optimization, scale.precision),
            long_side=round(self.long_side * rule.side),
            **divided(self, rule.divide),
            **{name: tuple(round(side * rule.side) for side in getattr(self, name)) for name in sides},
        )

    def multiply_adds(self, inputs: Inputs) -> float:
        """Encoder on the whole image, the pyramid, and the convolutions on each region."""
        variant, optimization = encoder_size(inputs), self.optimization
        tokens = self.short_sides[-1] * self.long_side / variant.patch_size**2
        encoder = blocks(variant.dim, variant.depth, tokens, tokens)
        pyramid = 16 * tokens * (1 + 1 / 4 + 1 / 16 + 1 / 64) * 2 * 9 * self.channels**2
        stages = 3 if self.head == "cascade_mask_rcnn" else 1
        regions = self.num_rois * self.channels**2 * 9 * 4 * (7**2 * stages + 14**2 / 4)
        images = 3 * optimization.iterations * optimization.global_batch + self.data.size.val
        return images * (encoder + pyramid + regions)

    def protocol(self) -> Protocol:
        """See `Spec`."""
        return {
            "feature": "four blocks, trained",
            "norm": "none",
            "pooling": "feature pyramid",
            "augmentation": f"flip, short sides {self.short_sides[0]} to {self.short_sides[-1]}, or a crop",
            "selection": "last iteration",
            "resolution": f"{self.short_sides[-1]} x {self.long_side}",
            **describe_optimization(self.optimization),
        }


# B, L: official configs/mask_rcnn/vit_{base,large}_giou_4conv1f_*. S: CAE, Sec. 4.2.
DETECTION_SETTINGS: dict[str, Setting] = {
    "vit_s": Setting(3e-4, 0.75, 0.1),
    "vit_b": Setting(3e-4, 0.75, 0.2),
    "vit_l": Setting(2e-4, 0.85, 0.2),
    "vit_h": Setting(2e-4, 0.85, 0.2),  # no source: ViT-L's
}
IMAGES_WITH_OBJECTS = 117_266  # of train2017: the others are left out of training
EPOCHS, BATCH = 12, 32


def coco(variant: VariantName = "vit_b", data: DataName = "coco") -> Detection:
    """Mask R-CNN on COCO. Source: the official configs/mask_rcnn/vit_*_giou_4conv1f_*; CAE, Sec. 4.2.

    Expects: 48.4 box AP for CAE* ViT-B at 300 epochs (Tables 3 and 5).
    Differs from the paper: bf16 in place of fp16 (ADR 8).
    """
    return _detection(variant, data, "mask_rcnn")


def coco_cascade(variant: VariantName = "vit_b", data: DataName = "coco") -> Detection:
    """Cascade Mask R-CNN on COCO (Table 6). Source: the official configs/_base_/models/cascade_mask_rcnn_vit_fpn.py.

    Differs from the paper: its schedule is unpublished, here it is that of Mask R-CNN (ADR 12).
    """
    return _detection(variant, data, "cascade_mask_rcnn")


def _detection(variant: VariantName, data: DataName, head: Head) -> Detection:
    setting = DETECTION_SETTINGS[variant]
    return Detection(
        kind="detection",
        data=named(data),
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
