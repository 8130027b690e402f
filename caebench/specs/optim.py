"""Optimisation: optimizer, schedule, batch, precision. What the paper stores is what is stored: the global batch
and the base learning rate. Per-device batch, accumulation and world size are derived where the job runs.
"""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from caebench.specs.base import Config

Precision = Literal["fp32", "bf16", "fp16"]


class AdamW(Config):
    """AdamW; parameters of one dimension and biases are never decayed."""

    kind: Literal["adamw"]
    weight_decay: NonNegativeFloat = 0.05
    weight_decay_end: NonNegativeFloat | None = None  # reached along a cosine, as in DINO; None: constant
    beta1: NonNegativeFloat = 0.9
    beta2: NonNegativeFloat = 0.999
    eps: PositiveFloat = 1e-8


class SGD(Config):
    """SGD with momentum, Nesterov's by default."""

    kind: Literal["sgd"]
    momentum: NonNegativeFloat = 0.9
    nesterov: bool = True
    weight_decay: NonNegativeFloat = 0.0


class LARS(Config):
    """LARS (arXiv 1708.03888); parameters of one dimension take no trust ratio and no decay, as in MAE's probe."""

    kind: Literal["lars"]
    momentum: NonNegativeFloat = 0.9
    trust_coefficient: PositiveFloat = 0.001
    weight_decay: NonNegativeFloat = 0.0


Optimizer = Annotated[AdamW | SGD | LARS, Field(discriminator="kind")]


class Optimization(Config):
    """One training run: linear warm-up from zero, then a cosine to `min_lr`, stepped every iteration.

    The official codes end the warm-up in two ways. BEiT, CAE, DINO and iBOT: its last step takes the peak rate. MAE,
    its linear probe and MoCo v3: step s of w takes s / w of the peak, and the first step after it the peak.
    """

    optimizer: Optimizer
    epochs: PositiveInt
    warmup_epochs: NonNegativeFloat
    global_batch: PositiveInt
    warmup_end: Literal["at_peak", "before_peak"] = "at_peak"
    base_lr: PositiveFloat  # for 256 images; the peak is base_lr * global_batch / 256
    min_lr: NonNegativeFloat = 0.0
    clip_grad: PositiveFloat | None = None  # the largest norm of the gradient
    clip_grad_of: Literal["all", "each"] = "all"  # all parameters together, or each parameter, as in DINO
    precision: Precision = "bf16"
    max_skipped_steps: NonNegativeInt = 0  # steps that may be left out because their loss is not finite, however often

    @property
    def lr(self) -> float:
        """The peak learning rate."""
        return self.base_lr * self.global_batch / 256
