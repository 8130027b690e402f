"""The linear probe on ImageNet-1k."""

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field, PositiveInt

from caebench.specs.evaluations.frozen import (
    POOLING,
    TOP,
    Feature,
    FrozenProbe,
    Selection,
    best_epoch,
    check_feature,
    describe_crops,
)
from caebench.specs.inputs.dataset import IMAGE_SIZE, Data
from caebench.specs.inputs.named import DataName, named
from caebench.specs.job import Choice, Inputs, Protocol
from caebench.specs.optim import LARS, Optimization
from caebench.specs.scale import Scale, Shrink
from caebench.specs.variants import VariantName

RULES: Mapping[str, Shrink] = {
    "nano": Shrink(epochs=0.22, batch=64, lr=50.0),
    "lab": Shrink(epochs=0.2, batch=16, lr=4.0),
}


class LinearProbe(FrozenProbe):
    """Linear probe (CAE, Sec. 4.2; official tools/run_linear.py): batch norm without affine, then a linear layer."""

    METRICS: ClassVar[tuple[str, ...]] = TOP

    kind: Literal["linear_probe"]
    data: Data
    image_size: PositiveInt
    optimization: Optimization
    feature: Feature = "cls"
    """The feature: class token, mean of the patches, or class tokens of the last four blocks."""
    norm: bool = True
    """Features are taken after the encoder's final norm."""
    selection: Selection = "best_epoch"
    """Which epoch is reported; the official code reports its best one on the validation set."""
    crop_scale_min: float = Field(default=0.08, gt=0.0, le=1.0)
    seed: int = 0

    def check(self, inputs: Inputs) -> None:
        """See `Spec`; also refuse a feature that the encoder does not have."""
        super().check(inputs)
        check_feature(self.feature, inputs)

    def scaled(self, scale: Scale) -> Self:
        """A shorter schedule on smaller images."""
        shrink = scale.rule(self.kind, RULES)
        return self.replace(optimization=shrink.apply(self.optimization, scale.precision), **scale.images(self))

    def protocol(self) -> Protocol:
        """See `Spec`."""
        norm = "final norm" if self.norm else "no final norm"
        own = {"feature": self.feature, "norm": f"{norm}, then batch norm", "pooling": POOLING[self.feature]}
        return {**own, **describe_crops(self)}

    def choice(self, metric: str) -> Choice | None:
        """See `Spec`."""
        return best_epoch(self, metric)


def linear_probe(variant: VariantName = "vit_b", data: DataName = "imagenet1k") -> LinearProbe:
    """Linear probe, the same for every variant. Source: the official tools/run_linear.py; MAE's FINETUNE.md.

    Expects: 64.1 for CAE* ViT-B at 300 epochs (Table 1).
    """
    optimization = Optimization(
        optimizer=LARS(kind="lars"),
        epochs=90,
        warmup_epochs=10,
        warmup_end="before_peak",
        global_batch=16384,
        base_lr=0.1,
    )
    return LinearProbe(kind="linear_probe", data=named(data), image_size=IMAGE_SIZE, optimization=optimization)
