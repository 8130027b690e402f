"""How trainings shrink: schedules, rates and batches; and the sizes that belong to one method alone."""

import re
from dataclasses import dataclass
from typing import Any

from caebench.config.compared import DINO, IBOT, MAE, DeiT, Method, MoCoV3
from caebench.config.dense import DenseOptimization
from caebench.config.optim import Optimization, Precision
from caebench.config.stage import Finetune


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
class FinetuneShrink:
    """What fine-tuning shrinks besides its schedule: how hard its training images are made, and layer-wise decay.

    A hundred steps on pictures of 48 pixels learn nothing through the augmentation of a hundred epochs of ImageNet.
    Probabilities and alphas are multiplied, never set, so that two settings that differ at paper scale still differ.
    """

    augmentation: float = 1.0  # on the probability of each of RandAugment's operations, of random erasing and flips
    mixing: float = 1.0  # on mixup's and cutmix's alpha: the smaller, the rarer is a mixture that is not all one image
    depth: float = 1.0  # layer-wise decay is raised to it

    def apply(self, config: Finetune) -> dict[str, Any]:
        """The fields that change, but for the mixing groups."""
        mixing = config.mixing
        return {
            "randaugment": rarer(config.randaugment, self.augmentation),
            "random_erasing": config.random_erasing * self.augmentation,
            "flip": config.flip * self.augmentation,
            "layer_decay": config.layer_decay**self.depth,
            "mixing": mixing.replace(mixup=mixing.mixup * self.mixing, cutmix=mixing.cutmix * self.mixing),
        }

    def __str__(self) -> str:
        """What it did, for the notes of a report; empty where it did nothing."""
        parts = [
            f"RandAugment's operations, random erasing and flips {self.augmentation:g} times as often"
            if self.augmentation != 1.0
            else "",
            f"mixup's and cutmix's alpha {self.mixing:g} times as large" if self.mixing != 1.0 else "",
            f"layer-wise decay to the power of {self.depth:g}" if self.depth != 1.0 else "",
        ]
        return ", ".join(part for part in parts if part)


def rarer(randaugment: str, factor: float) -> str:
    """timm's notation with the probability of an operation, 0.5 where it says none, times a factor."""
    if factor == 1.0:
        return randaugment
    parts = randaugment.split("-")
    given = [part for part in parts if re.fullmatch(r"p[\d.]+", part)]
    probability = float(given[-1][1:]) if given else 0.5  # timm.data.auto_augment.rand_augment_transform
    written = f"{probability * factor:.12f}".rstrip("0")  # no exponent: timm parts its notation at dashes
    return "-".join([*(part for part in parts if part not in given), f"p{written}"])


@dataclass(frozen=True)
class DenseShrink:
    """How a dense task shrinks; sides of images, crops and windows by one factor, channels and boxes by divisors.

    Layer-wise decay is raised to `depth`: the paper's blocks over this scale's give the first block its rate; more
    holds the encoder nearer to where pretraining left it, for heads that train for a minute.
    """

    iterations: float
    batch: int
    lr: float
    side: float
    channels: int = 1
    boxes: int = 1
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
class MethodShrink:
    """What the methods that CAE is compared with shrink besides their schedules: widths and counts, by divisors."""

    decoder_dim: int = 1  # MAE's decoder
    decoder_depth: int = 1
    decoder_num_heads: int = 1
    hidden_dim: int = 1  # of projection heads
    output_dim: int = 1
    prototypes: int = 1
    num_local: int = 1  # small crops
    memory: float = 1.0  # of a momentum, 1 / (1 - momentum) steps: fewer steps, shorter memory


@dataclass(frozen=True)
class Ratios:
    """What became of a pretraining: new values over the paper's."""

    epochs: float
    batch: float
    side: float  # of images, in pixels


def shrink_method(method: Method, by: MethodShrink, ratios: Ratios) -> dict[str, Any]:
    """The fields that change."""
    match method:
        case MAE():
            names = ("decoder_dim", "decoder_depth", "decoder_num_heads")
            return {name: getattr(method, name) // getattr(by, name) for name in names}
        case DeiT():
            group = round(8 * ratios.batch * method.mixing.group)  # 8: a group of two images would hardly mix
            return {"mixing": method.mixing.replace(group=max(2, group))}
        case MoCoV3():
            return {
                "hidden_dim": method.hidden_dim // by.hidden_dim,
                "output_dim": method.output_dim // by.output_dim,
                "momentum": _forget(method.momentum, by.memory),
                "blur_max": method.blur_max * ratios.side,
            }
        case DINO() | IBOT():
            return {
                "prototypes": method.prototypes // by.prototypes,
                "hidden_dim": method.hidden_dim // by.hidden_dim,
                "bottleneck_dim": method.bottleneck_dim // by.output_dim,
                "teacher_temperature_epochs": method.teacher_temperature_epochs * ratios.epochs,
                "frozen_epochs": method.frozen_epochs * ratios.epochs,
                "momentum": _forget(method.momentum, by.memory),
                "num_local": method.num_local // by.num_local,
                "local_size": round(method.local_size * ratios.side),
                "blur_max": method.blur_max * ratios.side,
            }
        case _:
            return {}


def _forget(momentum: float, memory: float) -> float:
    """A momentum that remembers `memory` times fewer steps."""
    return 1.0 - min(1.0, memory * (1.0 - momentum))
