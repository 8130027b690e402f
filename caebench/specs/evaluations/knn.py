"""k-NN classification on ImageNet-1k, and on the data sets that have its classes."""

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import PositiveFloat, PositiveInt

from caebench.specs.arithmetic import encode
from caebench.specs.evaluations.frozen import POOLING, Feature, check_feature
from caebench.specs.inputs.dataset import IMAGE_SIZE, Data
from caebench.specs.inputs.named import DataName, named
from caebench.specs.job import Choice, Inputs, Protocol, Spec, Speed, encoder_size
from caebench.specs.optim import Precision
from caebench.specs.scale import Scale
from caebench.specs.variants import VariantName

RULES: Mapping[str, Mapping[int, int]] = {"nano": {}, "lab": {}}  # k -> fewer


class KNN(Spec):
    """Weighted k-nearest-neighbour classification on frozen features (DINO, arXiv 2104.14294, Sec. 4.2.1)."""

    VERSION: ClassVar[int] = 2
    METRICS: ClassVar[tuple[str, ...]] = ("top1", "top1_k10", "top1_k20", "top1_k100", "top1_k200")
    LABELS: ClassVar[tuple[str, ...]] = ("class", "classes")
    SPEED: ClassVar[Speed] = "frozen"
    TAKES_FEW_SHOT: ClassVar[bool] = True

    kind: Literal["knn"]
    data: Data
    """The data set: its training images are the bank, its validation images are classified."""
    image_size: PositiveInt
    """Pixels of a side."""
    k: tuple[PositiveInt, ...] = (10, 20, 100, 200)
    """Numbers of neighbours, each evaluated."""
    temperature: PositiveFloat = 0.07
    """Temperature of the neighbours' weights."""
    feature: Feature = "cls"
    """The feature: class token, mean of the patches, or class tokens of the last four blocks."""
    norm: bool = True
    """Features are taken after the encoder's final norm."""
    precision: Precision = "bf16"
    """Number format of the encoder."""

    @property
    def fixed_k(self) -> int:
        """The k that is not chosen by its number: 20, DINO's own, or the one nearest to it."""
        return min(self.k, key=lambda k: abs(k - 20))

    def check(self, inputs: Inputs) -> None:
        """See `Spec`; also refuse a feature that the encoder does not have."""
        super().check(inputs)
        check_feature(self.feature, inputs)

    def scaled(self, scale: Scale) -> Self:
        """Smaller images, and fewer neighbours where a scale says so."""
        fewer = scale.rule(self.kind, RULES)
        return self.replace(
            data=self.data.scaled(scale),
            image_size=scale.size(self.image_size),
            k=tuple(fewer.get(k, k) for k in self.k),
            precision=scale.precision,
        )

    def multiply_adds(self, inputs: Inputs) -> float:
        """Every image encoded once."""
        size = self.data.size
        return encode(encoder_size(inputs), self.image_size) * (size.train + size.val)

    def protocol(self) -> Protocol:
        """See `Spec`."""
        norm = "final norm" if self.norm else "no final norm"
        return {
            "feature": self.feature,
            "norm": f"{norm}, then unit length",
            "pooling": POOLING[self.feature],
            "resolution": str(self.image_size),
            "augmentation": "none",
            "selection": f"k = {self.fixed_k}",
            "precision": self.precision,
        }

    def choice(self, metric: str) -> Choice | None:
        """See `Spec`."""
        if metric != "top1" or len(self.k) == 1:
            return None
        return Choice(f"top1_k{self.fixed_k}", "top1", f"{len(self.k)} k")


def knn(variant: VariantName = "vit_b", data: DataName = "imagenet1k") -> KNN:
    """k-NN as in DINO (arXiv 2104.14294, Sec. 4.2.1). Not in the paper."""
    return KNN(kind="knn", data=named(data), image_size=IMAGE_SIZE)
