"""A grid of linear probes on ImageNet-1k."""

from typing import ClassVar, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt

from caebench.specs.arithmetic import encode
from caebench.specs.evaluations.frozen import Feature, FrozenProbe, describe_crops
from caebench.specs.evaluations.linear_probe import RULES, linear_probe
from caebench.specs.inputs.dataset import IMAGE_SIZE, Data
from caebench.specs.inputs.named import DataName, named
from caebench.specs.job import Choice, Inputs, Protocol, encoder_size
from caebench.specs.optim import Optimization
from caebench.specs.scale import Scale
from caebench.specs.variants import VariantName


class LinearProbeGrid(FrozenProbe):
    """Linear probes at many learning rates on several features, in one pass of the encoder; not in the paper.

    The head that is reported is chosen on training images that were held out, not on the validation set.
    """

    VERSION: ClassVar[int] = 2
    METRICS: ClassVar[tuple[str, ...]] = ("top1", "top1_best_on_val", "top1_held_out")

    kind: Literal["linear_probe_grid"]
    data: Data
    image_size: PositiveInt
    optimization: Optimization
    """Optimizer, schedule, batch and precision; its `base_lr` is one of `base_lrs`."""
    base_lrs: tuple[PositiveFloat, ...] = Field(min_length=1)
    """Learning rates for 256 images, each tried on each feature."""
    features: tuple[Feature, ...] = Field(default=("cls", "mean", "last4"), min_length=1)
    """Features that are tried: class token, mean of the patches, class tokens of the last four blocks."""
    norm: bool = True
    """Features are taken after the encoder's final norm."""
    hold_out: float = Field(default=0.1, gt=0.0, lt=1.0)
    """Share of the training images that is held out to choose the head."""
    crop_scale_min: float = Field(default=0.08, gt=0.0, le=1.0)
    seed: int = 0

    def scaled(self, scale: Scale) -> Self:
        """As the linear probe; its rates by one factor."""
        shrink = scale.rule("linear_probe", RULES)
        optimization = shrink.apply(self.optimization, scale.precision)
        return self.with_optimization(optimization).replace(**scale.images(self))

    def with_optimization(self, optimization: Optimization) -> Self:
        """Its rates by the factor of the base rate."""
        factor = optimization.base_lr / self.optimization.base_lr
        return self.replace(optimization=optimization, base_lrs=tuple(rate * factor for rate in self.base_lrs))

    def multiply_adds(self, inputs: Inputs) -> float:
        """The held-out images once, at the end."""
        size, forward = self.data.size, encode(encoder_size(inputs), self.image_size)
        return forward * ((self.optimization.epochs + self.hold_out) * size.train + size.val)

    def head_parameters(self, inputs: Inputs) -> int:
        """A linear layer per rate and feature; `last4` is four tokens wide."""
        widths = sum(4 if feature == "last4" else 1 for feature in self.features)
        return super().head_parameters(inputs) * len(self.base_lrs) * widths

    def protocol(self) -> Protocol:
        """See `Spec`."""
        return {
            **describe_crops(self),
            "feature": ", ".join(self.features),
            "norm": f"{'final norm' if self.norm else 'no final norm'}, then batch norm",
            "rate": f"{len(self.base_lrs)}, {self.base_lrs[0]:g} to {self.base_lrs[-1]:g}",
            "selection": f"last epoch; the best head on {self.hold_out:.0%} of the training images",
        }

    def choice(self, metric: str) -> Choice | None:
        """See `Spec`."""
        heads = f"{len(self.base_lrs) * len(self.features)} heads"
        return Choice("top1", "top1_best_on_val", heads) if metric == "top1" else None


def linear_probe_grid(variant: VariantName = "vit_b", data: DataName = "imagenet1k") -> LinearProbeGrid:
    """The linear probe at 13 rates, from a 64th to 64 times the paper's, on three features. Not in the paper.

    DINOv2's linear evaluation (arXiv 2304.07193) tries many rates and features at once, too.
    """
    paper = linear_probe(variant).optimization
    return LinearProbeGrid(
        kind="linear_probe_grid",
        data=named(data),
        image_size=IMAGE_SIZE,
        optimization=paper,
        base_lrs=tuple(paper.base_lr * 2.0**power for power in range(-6, 7)),
    )
