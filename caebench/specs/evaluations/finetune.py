"""End-to-end fine-tuning: ImageNet-1k, and the transfer sets of Table 4."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, Self

from pydantic import Field, PositiveFloat, PositiveInt

from caebench.specs.arithmetic import encode, trained_bytes
from caebench.specs.evaluations.frozen import TOP, Selection, best_epoch, describe_crops
from caebench.specs.inputs.dataset import IMAGE_SIZE, Data
from caebench.specs.inputs.named import DataName, named
from caebench.specs.job import Choice, Inputs, Protocol, Spec, encoder_size
from caebench.specs.mixing import Mixing
from caebench.specs.optim import AdamW, Optimization
from caebench.specs.scale import Scale, Shrink, mixing_group
from caebench.specs.variants import VariantName


@dataclass(frozen=True)
class FinetuneRule:
    """How fine-tuning shrinks: its schedule, how hard its training images are made, and layer-wise decay.

    A hundred steps on pictures of 48 pixels learn nothing through the augmentation of a hundred epochs of ImageNet.
    Probabilities and alphas are multiplied, never set, so that two settings that differ at paper scale still differ.
    """

    schedule: Shrink
    augmentation: float = 1.0  # on the probability of each of RandAugment's operations, of random erasing and flips
    mixing: float = 1.0  # on mixup's and cutmix's alpha: the smaller, the rarer is a mixture that is not all one image
    depth: float = 1.0  # layer-wise decay is raised to it

    def milder(self, config: "Finetune") -> dict[str, Any]:
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


RULES: Mapping[str, FinetuneRule] = {
    "nano": FinetuneRule(  # docs/performance.md
        Shrink(epochs=0.06, batch=64, lr=32.0), augmentation=0.02, mixing=0.01
    ),
    "lab": FinetuneRule(Shrink(epochs=0.1, batch=8, lr=2.0)),
}


class Finetune(Spec):
    """End-to-end fine-tuning for classification (CAE, Sec. 4.2; official tools/run_class_finetuning.py)."""

    VERSION: ClassVar[int] = 2
    METRICS: ClassVar[tuple[str, ...]] = TOP
    TAKES_FEW_SHOT: ClassVar[bool] = True

    kind: Literal["finetune"]
    data: Data
    """The data set that it trains and is evaluated on."""
    image_size: PositiveInt
    """Pixels of a side."""
    optimization: Optimization
    """Optimizer, schedule, batch and precision."""
    layer_decay: float = Field(gt=0.0, le=1.0)
    """Factor on the learning rate from each block to the one below it; 1: none."""
    drop_path: float = Field(ge=0.0, lt=1.0)
    """Stochastic depth of the encoder's last block; it grows linearly from 0."""
    mixing: Mixing = Mixing()
    """Mixup and cutmix."""
    label_smoothing: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Share of the label that is spread over all classes."""
    randaugment: str = "rand-m9-mstd0.5-inc1"
    """RandAugment, in timm's notation."""
    random_erasing: float = Field(default=0.25, ge=0.0, le=1.0)
    """Probability of random erasing."""
    flip: float = Field(default=0.5, ge=0.0, le=1.0)
    """Probability of a horizontal flip."""
    crop_scale_min: float = Field(default=0.08, gt=0.0, le=1.0)
    """The least share of the image in a training crop."""
    relative_position_bias: bool = True
    """A relative position bias per block, zero at the start, as in the official fine-tuning code."""
    head_init_scale: PositiveFloat = 0.001
    """Factor on the classifier's initial weights."""
    selection: Selection = "best_epoch"
    """Which epoch is reported; the official code reports its best one on the validation set."""
    seed: int = 0
    """Seed of all randomness; `--seeds` sets it, a suite never does."""

    def check(self, inputs: Inputs) -> None:
        """See `Spec`; and groups of mixed images that do not fill the batch."""
        super().check(inputs)
        self.mixing.check(self.optimization.global_batch)

    def scaled(self, scale: Scale) -> Self:
        """A shorter schedule on smaller images, augmented less."""
        rule = scale.rule(self.kind, RULES)
        optimization = rule.schedule.apply(self.optimization, scale.precision)
        group = mixing_group(self.mixing.group, optimization.global_batch / self.optimization.global_batch)
        milder = rule.milder(self)
        milder["mixing"] = milder["mixing"].replace(group=group)
        return self.replace(optimization=optimization, **milder, **scale.images(self))

    def with_optimization(self, optimization: Optimization) -> Self:
        """Groups of mixed images that divide the batch, too."""
        group = math.gcd(self.mixing.group, optimization.global_batch)
        return self.replace(optimization=optimization, mixing=self.mixing.replace(group=group))

    def scale_note(self, scale: Scale) -> str:
        """How its augmentation shrinks."""
        return "" if scale.name == "paper" else str(scale.rule(self.kind, RULES))

    def multiply_adds(self, inputs: Inputs) -> float:
        """Encoder and head, forward and backward; forward on the validation images after every epoch."""
        size, forward = self.data.size, encode(encoder_size(inputs), self.image_size)
        return forward * self.optimization.epochs * (3 * size.train + size.val)

    def disk_bytes(self, inputs: Inputs) -> int:
        """Its checkpoints."""
        return trained_bytes(encoder_size(inputs))

    def protocol(self) -> Protocol:
        """See `Spec`."""
        mixing = f"mixup {self.mixing.mixup:g}, cutmix {self.mixing.cutmix:g}"
        return {
            "feature": "whole encoder, trained",
            "norm": "norm of the mean",
            "pooling": "mean of the patches",
            **describe_crops(self),
            "augmentation": f"crop {self.crop_scale_min:.2g} to 1, flip, {self.randaugment}, {mixing}",
        }

    def choice(self, metric: str) -> Choice | None:
        """See `Spec`."""
        return best_epoch(self, metric)


class Setting(NamedTuple):
    """What differs between variants."""

    epochs: int
    lr: float
    layer_decay: float
    drop_path: float


# S: CAE, Sec. 4.2 (its drop path is not stated: B's here). B, L: official scripts/cae_{base,large}_finetune.sh.
SETTINGS: dict[str, Setting] = {
    "vit_s": Setting(200, 1.6e-2, 0.75, 0.1),
    "vit_b": Setting(100, 8e-3, 0.65, 0.1),
    "vit_l": Setting(50, 2e-3, 0.75, 0.2),
    "vit_h": Setting(50, 2e-3, 0.75, 0.2),  # no source: ViT-L's
}


def finetune(variant: VariantName = "vit_b", data: DataName = "imagenet1k") -> Finetune:
    """ImageNet-1k fine-tuning, or another data set's. Source: official scripts/cae_*_finetune.sh; CAE, Sec. 4.2.

    Expects: 83.6 for CAE* ViT-B at 300 epochs (Table 1).
    """
    return _finetune(variant, data)


def food101(variant: VariantName = "vit_b") -> Finetune:
    """Food-101 fine-tuning (Table 4). The paper's recipe is unpublished: the ImageNet recipe (ADR 5)."""
    return _finetune(variant, "food101")


def clipart(variant: VariantName = "vit_b") -> Finetune:
    """DomainNet Clipart fine-tuning (Table 4). The paper's recipe is unpublished: the ImageNet recipe (ADR 5)."""
    return _finetune(variant, "clipart")


def sketch(variant: VariantName = "vit_b") -> Finetune:
    """DomainNet Sketch fine-tuning (Table 4). The paper's recipe is unpublished: the ImageNet recipe (ADR 5)."""
    return _finetune(variant, "sketch")


def _finetune(variant: VariantName, dataset: str) -> Finetune:
    if variant not in SETTINGS:
        raise ValueError(f"field 'variant' is '{variant}': fine-tuning settings exist for {', '.join(SETTINGS)}")
    setting = SETTINGS[variant]
    return Finetune(
        kind="finetune",
        data=named(dataset),
        image_size=IMAGE_SIZE,
        optimization=Optimization(
            optimizer=AdamW(kind="adamw"),
            epochs=setting.epochs,
            warmup_epochs=5,
            global_batch=4096,
            base_lr=setting.lr * 256 / 4096,
            min_lr=1e-6,
        ),
        layer_decay=setting.layer_decay,
        drop_path=setting.drop_path,
    )
