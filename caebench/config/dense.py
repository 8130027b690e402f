"""Dense tasks: segmentation, detection. The schedule and its scales count iterations, as the paper does."""

from typing import Literal, Self

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from caebench.config.base import Config
from caebench.config.data import Data
from caebench.config.optim import AdamW, Precision


class DenseOptimization(Config):
    """AdamW with layer-wise decay; linear warm-up from `warmup_ratio`, then polynomial to 0 or in steps of a tenth."""

    optimizer: AdamW
    iterations: PositiveInt
    warmup_iterations: NonNegativeInt
    warmup_ratio: PositiveFloat
    global_batch: PositiveInt
    lr: PositiveFloat  # the peak, for this batch
    layer_decay: float = Field(gt=0.0, le=1.0)
    schedule: Literal["poly", "step"]  # poly: power 1
    milestones: tuple[float, ...] = ()  # of `step`, as shares of the iterations
    precision: Precision = "bf16"


class Segmentation(Config):
    """UperNet on an encoder that trains along (official downstream_tasks/semantic_segmentation), or a linear layer on
    the final patch tokens of a frozen one, which has no use for `channels`, `layer_decay` and `drop_path`.
    """

    kind: Literal["segmentation"]
    data: Data
    optimization: DenseOptimization
    crop_size: PositiveInt  # pixels of a training crop and of a window at test; the short side of an image too
    stride: PositiveInt  # pixels between windows at test
    channels: PositiveInt  # of UperNet; the official code's has the encoder's width
    aux_channels: PositiveInt = 256  # of its auxiliary head
    drop_path: float = Field(ge=0.0, lt=1.0)
    relative_position_bias: bool = True
    head: Literal["upernet", "linear"] = "upernet"
    seed: int = 0


class KNNSegmentation(Config):
    """k-nearest-neighbour segmentation on frozen patch tokens (arXiv 2306.01667, Sec. 3.1)."""

    kind: Literal["knn_segmentation"]
    data: Data
    image_size: PositiveInt  # pixels of the short side
    bank_size: PositiveInt = 1_024_000  # patches kept of the training images, equally many of each
    k: PositiveInt = 30
    temperature: PositiveFloat = 0.02
    precision: Precision = "bf16"
    seed: int = 0


class LearningRateGrid(Config):
    """One task at several learning rates, a job each: the best is chosen on the validation images, and all are kept."""

    kind: Literal["lr_grid"]
    task: Segmentation
    rates: tuple[PositiveFloat, ...] = Field(min_length=2)
    seed: int = 0

    @staticmethod
    def role(rate: float) -> str:
        """What the job at a rate is called among the inputs of the job that selects."""
        return f"lr_{rate:g}"

    def at(self, rate: float) -> Segmentation:
        """The task at one of the rates."""
        return self.task.replace(optimization=self.task.optimization.replace(lr=rate), seed=self.seed)


class Detection(Config):
    """Mask R-CNN or Cascade Mask R-CNN on an encoder that trains along (official downstream_tasks/detection)."""

    kind: Literal["detection"]
    data: Data
    optimization: DenseOptimization
    head: Literal["mask_rcnn", "cascade_mask_rcnn"]
    short_sides: tuple[PositiveInt, ...]  # of a training image, by chance; the last one at test
    long_side: PositiveInt  # at most
    first_short_sides: tuple[PositiveInt, ...] = (400, 500, 600)  # of the policy that crops, before the crop
    crop_sides: tuple[PositiveInt, PositiveInt] = (384, 600)  # the crop's least and most
    channels: PositiveInt = 256  # of FPN, RPN and both heads
    fc_channels: PositiveInt = 1024
    num_rois: PositiveInt = 512  # of an image, sampled for the heads
    num_proposals: PositiveInt = 1000  # of an image, at test; in training twice as many
    num_detections: PositiveInt = 100  # of an image, at most
    drop_path: float = Field(ge=0.0, lt=1.0)
    orientation_group: PositiveInt = 2  # images in a row that are all wider than tall, or none; official: of one GPU
    seed: int = 0

    @model_validator(mode="after")
    def _check_groups(self) -> Self:
        batch = self.optimization.global_batch
        if batch % self.orientation_group:
            raise ValueError(
                f"orientation_group {self.orientation_group}: it must divide optimization.global_batch {batch}. "
                "Choose a divisor of it"
            )
        return self
