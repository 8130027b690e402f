"""The optimisation of dense tasks. The schedule and its scales count iterations, as the paper does."""

from typing import Literal, Self

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from caebench.specs.base import Config
from caebench.specs.optim import AdamW, Precision


class DenseOptimization(Config):
    """AdamW with layer-wise decay; linear warm-up from `warmup_ratio`, then polynomial to 0 or in steps of a tenth."""

    optimizer: AdamW
    """The optimizer and its settings."""
    iterations: PositiveInt
    """Steps of training."""
    warmup_iterations: NonNegativeInt
    """Steps of the linear warm-up."""
    warmup_ratio: PositiveFloat
    """Where the warm-up starts, as a share of `lr`."""
    global_batch: PositiveInt
    """Images of a step, over all devices."""
    lr: PositiveFloat
    """The peak learning rate, for this batch."""
    layer_decay: float = Field(gt=0.0, le=1.0)
    """Factor on the learning rate from each block to the one below it; 1: none."""
    schedule: Literal["poly", "step"]
    """After the warm-up: `poly` falls to 0 with power 1, `step` falls to a tenth at each milestone."""
    milestones: tuple[float, ...] = ()
    """Where `step` falls, as shares of the iterations."""
    precision: Precision = "bf16"
    """Number format of training."""

    def fitted(self, num_train: int, multiple: int = 1) -> Self:
        """With a batch of at most so many images, in whole multiples; iterations and rate stay (ADR 41)."""
        most = num_train - num_train % multiple
        return self if not 0 < most < self.global_batch else self.replace(global_batch=most)
