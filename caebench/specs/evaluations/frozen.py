"""What evaluations of a frozen encoder share: features, selection, one pass of the encoder for several of them."""

from collections.abc import Hashable
from typing import Any, ClassVar, Literal

from pydantic import PositiveInt

from caebench.specs.arithmetic import BYTES, KEPT, STATES, encode
from caebench.specs.inputs.dataset import Data
from caebench.specs.job import (
    SMALL,
    Choice,
    EncoderSpec,
    Inputs,
    Protocol,
    Spec,
    Speed,
    describe_optimization,
    encoder_size,
)
from caebench.specs.optim import Optimization

Selection = Literal["best_epoch", "last_epoch"]
# Class token, mean of the patches, or the class tokens of the last four blocks side by side (DINO's linear evaluation
# of ViT-S). Numbers of one encoder in k-NN compare only where feature and norm are the same.
Feature = Literal["cls", "mean", "last4"]
POOLING = {"cls": "class token", "mean": "mean of the patches", "last4": "class tokens of four blocks"}
TOP = ("top1", "top5", "top1_last_epoch")  # metrics of a classifier that is evaluated after every epoch


def check_feature(feature: Feature, inputs: Inputs) -> None:
    """Refuse a feature that the encoder cannot offer.

    Raises:
        ValueError: it needs class tokens of several blocks, and the encoder has none.
    """
    config = inputs["encoder"].config if "encoder" in inputs else None
    if feature == "last4" and isinstance(config, EncoderSpec) and not config.has_class_token:
        raise ValueError(
            f"field 'feature' is 'last4': encoder {config.slug({}, '')} has no class token. Choose 'mean'."
        )


class FrozenProbe(Spec):
    """A probe that trains on the features of a frozen encoder. Several may share one pass of it (ADR 20)."""

    SPEED: ClassVar[Speed] = "frozen"
    TAKES_FEW_SHOT: ClassVar[bool] = True

    data: Data
    """The data set that it trains and is evaluated on."""
    image_size: PositiveInt
    """Pixels of a side."""
    optimization: Optimization
    """Optimizer, schedule, batch and precision."""
    crop_scale_min: float
    """The least share of the image in a training crop."""
    seed: int
    """Seed of all randomness; `--seeds` sets it, a suite never does."""

    def crop_rule(self) -> str:
        """Which crops it sees: probes with one rule see the same boxes."""
        return "one_try"

    def uses_norm(self) -> bool:
        """Whether its features come after the encoder's final norm."""
        return bool(getattr(self, "norm", True))

    def pass_key(self) -> Hashable:
        """Equal for probes that see the same images in the same way."""
        return (
            self.data,
            self.image_size,
            self.crop_scale_min,
            self.optimization.precision,
            self.seed,
            self.uses_norm(),
        )

    def multiply_adds(self, inputs: Inputs) -> float:
        """The encoder's forward pass on every image of every epoch."""
        size = self.data.size
        return encode(encoder_size(inputs), self.image_size) * self.optimization.epochs * (size.train + size.val)

    def head_parameters(self, inputs: Inputs) -> int:
        """Weights of what it trains: a linear layer."""
        return encoder_size(inputs).dim * self.data.size.num_classes

    def disk_bytes(self, inputs: Inputs) -> int:
        """Checkpoints of its head, while it runs."""
        return SMALL + self.head_parameters(inputs) * BYTES * KEPT * STATES


def best_epoch(config: Any, metric: str) -> Choice | None:
    """The choice between the last epoch and the best one on the validation set."""
    if metric != "top1" or config.selection != "best_epoch":
        return None
    return Choice("top1_last_epoch", "top1", f"{config.optimization.epochs} epochs")


def describe_crops(config: Any) -> Protocol:
    """Resolution, augmentation, selection and optimisation of a classifier."""
    return {
        "resolution": str(config.image_size),
        "augmentation": f"crop {config.crop_scale_min:.2g} to 1, flip",
        "selection": "last epoch",
        **describe_optimization(config.optimization),
    }
