"""What a scale is, and how trainings shrink. How each kind of job shrinks stands with the kind: its `RULES`.

A scale is a pure function from config to config, applied once, when a suite is planned. Nothing below the plan can see
it. It shrinks and never clamps, so that two jobs that differ at paper scale differ at every scale.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, Self, TypeVar

from caebench.specs.base import Config
from caebench.specs.dense_optim import DenseOptimization
from caebench.specs.optim import Optimization, Precision
from caebench.specs.site import ScaleName
from caebench.specs.variants import VARIANTS, VariantName
from caebench.specs.world import World

PAPER_IMAGE_SIZE = 224
REAL = "-real"  # ends the name of a scale that is small, on real data
PAPER_CROP = 0.08  # the least share of the image in a crop
R = TypeVar("R")


class Scalable(Protocol):
    """What a scale applies to."""

    def scaled(self, scale: "Scale") -> Self:
        """The same at a scale."""
        ...

    def on_site(self, found: Mapping[str, Config]) -> Self:
        """The same on the data sets that a site has."""
        ...

    def fitted(self) -> Self:
        """The same, with batch and rate fitted to few training images."""
        ...


C = TypeVar("C", bound=Scalable)


@dataclass(frozen=True)
class Scale:
    """A named size of every experiment; `paper` changes nothing."""

    name: ScaleName
    variants: Mapping[VariantName, VariantName] = field(default_factory=dict[VariantName, VariantName])
    world: World | None = None  # stands in for every real data set
    image_size: int = PAPER_IMAGE_SIZE
    crop_scale_min: float = PAPER_CROP
    init_std: float = 1.0  # factor on deviations of initial weights: sqrt(768 / width)
    precision: Precision = "bf16"
    rules: Mapping[str, Any] = field(default_factory=dict[str, Any])  # kind -> its rule, where it is not the kind's own
    found: Mapping[str, Config] = field(default_factory=dict[str, Config])  # data set -> what a site's folder has of it

    def apply(self, config: C) -> C:
        """The config at this scale, on the data sets that the site has."""
        sized = config if self.name == "paper" else config.scaled(self)
        return (sized.on_site(self.found) if self.found else sized).fitted()

    @property
    def rules_of(self) -> str:
        """The scale whose rules are its own: that of the synthetic data."""
        return self.name.removesuffix(REAL)

    def rule(self, kind: str, own: Mapping[str, R]) -> R:
        """How a kind shrinks at this scale: by its own rule, if the scale brings none.

        Raises:
            TypeError: neither has one.
        """
        if kind in self.rules:
            return self.rules[kind]
        if self.rules_of not in own:
            raise TypeError(f"scale '{self.name}' has no rule for '{kind}': give it one in the kind's RULES")
        return own[self.rules_of]

    def crop(self, least: float) -> float:
        """The range from the paper's least crop to the whole image, moved onto this scale's; no two values merge."""
        return self.crop_scale_min + (1.0 - self.crop_scale_min) * (least - PAPER_CROP) / (1.0 - PAPER_CROP)

    def size(self, image_size: int) -> int:
        """Pixels of an image's side."""
        return image_size * self.image_size // PAPER_IMAGE_SIZE

    def grid(self, variant: VariantName) -> int:
        """Patches of a side, for an encoder of the paper's."""
        return self.image_size // VARIANTS[self.variants[variant]].patch_size

    def images(self, config: Any) -> dict[str, object]:
        """The fields of all that see crops of images."""
        return {
            "data": config.data.scaled(self),
            "image_size": self.size(config.image_size),
            "crop_scale_min": self.crop(config.crop_scale_min),
        }


@dataclass(frozen=True)
class Shrink:
    """How one kind of training shrinks: epochs and learning rate by a factor, the batch by a divisor.

    The recipe's base rate is per 256 images, so the peak follows the batch before `lr` multiplies it. A power below 1
    draws schedules together: where 300 epochs become enough, 1600 need not become five times as many.
    """

    epochs: float
    batch: int
    lr: float
    power: float = 1.0  # of the recipe's epochs, before the factor

    def apply(self, config: Optimization, precision: Precision) -> Optimization:
        """The shrunk optimisation; warm-up keeps its share of the epochs."""
        epochs = max(1, round(config.epochs**self.power * self.epochs))
        return config.replace(
            epochs=epochs,
            warmup_epochs=config.warmup_epochs * epochs / config.epochs,
            global_batch=max(1, config.global_batch // self.batch),
            base_lr=config.base_lr * self.lr,
            precision=precision,
        )


@dataclass(frozen=True)
class DenseShrink:
    """How a dense task shrinks; sides of images, crops and windows by one factor, other sizes by divisors.

    Layer-wise decay is raised to `depth`: the paper's blocks over this scale's give the first block its rate; more
    holds the encoder nearer to where pretraining left it, for heads that train for a minute.
    """

    iterations: float
    batch: int
    lr: float
    side: float
    divide: Mapping[str, int] = field(default_factory=dict[str, int])  # field -> divisor
    depth: float = 1.0

    def apply(self, config: DenseOptimization, precision: Precision) -> DenseOptimization:
        """The shrunk optimisation; warm-up keeps its share of the iterations."""
        iterations = max(1, round(config.iterations * self.iterations))
        return config.replace(
            iterations=iterations,
            warmup_iterations=round(config.warmup_iterations * self.iterations),
            global_batch=max(1, config.global_batch // self.batch),
            lr=config.lr * self.lr,
            layer_decay=config.layer_decay**self.depth,
            precision=precision,
        )


@dataclass(frozen=True)
class MethodRule:
    """How a pretraining method shrinks: its schedule, and sizes of its own."""

    schedule: Shrink
    divide: Mapping[str, int] = field(default_factory=dict[str, int])  # field -> divisor
    depths: Mapping[int, int] = field(default_factory=dict[int, int])  # of regressor and decoder
    memory: float = 1.0  # of a momentum, 1 / (1 - momentum) steps: fewer steps, shorter memory


class Ratios(NamedTuple):
    """What became of a pretraining: new values over the paper's."""

    epochs: float
    batch: float
    side: float  # of images, in pixels


def divided(config: Any, divisors: Mapping[str, int]) -> dict[str, int]:
    """The fields that have a divisor, divided."""
    return {name: getattr(config, name) // by for name, by in divisors.items()}


def forget(momentum: float, memory: float) -> float:
    """A momentum that remembers `memory` times fewer steps."""
    return 1.0 - min(1.0, memory * (1.0 - momentum))


def mixing_group(group: int, batch_ratio: float) -> int:
    """Images that share a draw of mixup and cutmix."""
    return max(2, round(8 * batch_ratio * group))  # 8: a group of two images would hardly mix
