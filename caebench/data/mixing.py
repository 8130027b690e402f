"""Mixup and cutmix through timm, within groups of images that belong together whatever the device holds."""

from typing import Any

import torch
from timm.data.mixup import Mixup
from torch import Tensor

from caebench.data.randomness import seeded_everywhere
from caebench.specs.mixing import Mixing


class GroupMixup:
    """Each group of images mixes within itself, with a draw seeded by its first image: so neither the number of
    processes nor accumulation changes who mixes with whom."""

    def __init__(self, config: Mixing, label_smoothing: float, num_classes: int) -> None:
        self.group = config.group
        self.mixup = Mixup(
            mixup_alpha=config.mixup,
            cutmix_alpha=config.cutmix,
            switch_prob=config.switch_probability,
            label_smoothing=label_smoothing,
            num_classes=num_classes,
        )

    def __call__(self, batch: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """Mixed images and their soft targets."""
        parts = (batch[name].split(self.group) for name in ("image", "label", "mix_seed"))
        mixed = []
        for images, labels, seeds in zip(*parts, strict=True):
            with seeded_everywhere(int(seeds[0])):
                mixed.append(self.mixup(images, labels))
        images, targets = zip(*mixed, strict=True)
        return torch.cat(images), torch.cat(targets)
