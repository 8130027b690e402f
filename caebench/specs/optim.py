"""Optimisation: optimizer, schedule, batch, precision. What the paper stores is what is stored: the global batch
and the base learning rate. Per-device batch, accumulation and world size are derived where the job runs.
"""

import math
from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from caebench.specs.base import Config

Precision = Literal["fp32", "bf16", "fp16"]
FITTED_STEPS = 8  # of an epoch, where the batch is fitted to few training images
SMALLEST_BATCH = 16  # of a fitted optimisation, where there are as many images


class AdamW(Config):
    """AdamW; parameters of one dimension and biases are never decayed."""

    kind: Literal["adamw"]
    weight_decay: NonNegativeFloat = 0.05
    """Weight decay."""
    weight_decay_end: NonNegativeFloat | None = None
    """The last weight decay, reached along a cosine as in DINO; without it, constant."""
    beta1: NonNegativeFloat = 0.9
    """Decay of the first moment."""
    beta2: NonNegativeFloat = 0.999
    """Decay of the second moment."""
    eps: PositiveFloat = 1e-8
    """Added to the denominator."""


class SGD(Config):
    """SGD with momentum, Nesterov's by default."""

    kind: Literal["sgd"]
    momentum: NonNegativeFloat = 0.9
    """Momentum."""
    nesterov: bool = True
    """Nesterov's momentum."""
    weight_decay: NonNegativeFloat = 0.0
    """Weight decay."""


class LARS(Config):
    """LARS (arXiv 1708.03888); parameters of one dimension take no trust ratio and no decay, as in MAE's probe."""

    kind: Literal["lars"]
    momentum: NonNegativeFloat = 0.9
    """Momentum."""
    trust_coefficient: PositiveFloat = 0.001
    """Factor on the trust ratio."""
    weight_decay: NonNegativeFloat = 0.0
    """Weight decay."""


Optimizer = Annotated[AdamW | SGD | LARS, Field(discriminator="kind")]


class Optimization(Config):
    """One training run: linear warm-up from zero, then a cosine to `min_lr`, stepped every iteration.

    The official codes end the warm-up in two ways. BEiT, CAE, DINO and iBOT: its last step takes the peak rate. MAE,
    its linear probe and MoCo v3: step s of w takes s / w of the peak, and the first step after it the peak.
    """

    optimizer: Optimizer
    """The optimizer and its settings."""
    epochs: PositiveInt
    """Passes over the training images."""
    warmup_epochs: NonNegativeFloat
    """Epochs of the linear warm-up."""
    global_batch: PositiveInt
    """Images of a step, over all devices."""
    warmup_end: Literal["at_peak", "before_peak"] = "at_peak"
    """Where the warm-up ends: its last step takes the peak rate, or the step after it."""
    base_lr: PositiveFloat
    """Learning rate for 256 images; the peak is base_lr * global_batch / 256."""
    min_lr: NonNegativeFloat = 0.0
    """The learning rate that the cosine ends at."""
    clip_grad: PositiveFloat | None = None
    """The largest norm of the gradient; without it, none is clipped."""
    clip_grad_of: Literal["all", "each"] = "all"
    """What is clipped: all parameters together, or each parameter, as in DINO."""
    precision: Precision = "bf16"
    """Number format of training."""
    max_skipped_steps: NonNegativeInt = 0
    """Steps that may be left out because their loss is not finite, however often."""

    @property
    def lr(self) -> float:
        """The peak learning rate."""
        return self.base_lr * self.global_batch / 256

    def fitted(self, num_train: int) -> Self:
        """The optimisation for so few training images (ADR 43); the same where they are enough.

        The batch is halved until an epoch has FITTED_STEPS steps, down to SMALLEST_BATCH, and further only where there
        are fewer images. AdamW's peak rate follows the square root of the batch; those of LARS and SGD stay.
        """
        batch = self.global_batch
        while batch > num_train or (num_train // batch < FITTED_STEPS and batch // 2 >= SMALLEST_BATCH):
            batch = max(1, batch // 2)
        if batch == self.global_batch:
            return self
        ratio = self.global_batch / batch
        factor = math.sqrt(ratio) if isinstance(self.optimizer, AdamW) else ratio
        return self.replace(global_batch=batch, base_lr=self.base_lr * factor)
