"""The optimisation of dense tasks. The schedule and its scales count iterations, as the paper does."""

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from caebench.specs.base import Config
from caebench.specs.optim import AdamW, Precision


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
