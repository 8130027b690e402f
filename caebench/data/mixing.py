"""Mixup and cutmix through timm, within groups of images that belong together whatever the device holds."""

from typing import Any

import torch
from PIL import Image
from timm.data.mixup import Mixup
from torch import Tensor

from caebench.config.augmentation import Mixing
from caebench.config.compared import DeiT
from caebench.config.pixels import IMAGENET, PixelStats
from caebench.config.stage import Finetune, Pretrain
from caebench.data.loading import Key
from caebench.data.randomness import Purpose, derive, generator, seeded_everywhere
from caebench.data.transforms import supervised


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


class MixedSample:
    """An augmented image and its label, with its numbers for stochastic depth and for mixing."""

    def __init__(
        self,
        config: Pretrain | Finetune,
        recipe: DeiT | Finetune,
        num_draws: int,
        stats: PixelStats = IMAGENET,
    ) -> None:
        self.seed, self.num_draws = config.seed, num_draws
        self.transform = supervised(
            config.image_size,
            config.crop_scale_min,
            recipe.randaugment,
            recipe.random_erasing,
            stats,
            flip=recipe.flip,
        )

    def __call__(self, image: Image.Image, label: int, key: Key) -> dict[str, Any]:
        """One sample."""
        with seeded_everywhere(derive(Purpose.VIEW, self.seed, *key)):
            view = self.transform(image)
        draws = generator(Purpose.DEPTH, self.seed, *key).random(self.num_draws, dtype="float32")
        mix_seed = derive(Purpose.MIXING, self.seed, *key)
        return {"image": view, "label": label, "draws": torch.from_numpy(draws), "mix_seed": mix_seed}
