"""A sample that is mixed with others of its group (`data.mixing`): for supervised training."""

from typing import Any, Protocol, runtime_checkable

import torch
from PIL import Image

from caebench.data.loading import Key
from caebench.data.randomness import Purpose, derive, generator, seeded_everywhere
from caebench.data.transforms import supervised
from caebench.specs.pixel_stats import IMAGENET, PixelStats


@runtime_checkable
class Cropped(Protocol):
    """What a config says of its crops."""

    seed: int
    image_size: int
    crop_scale_min: float


@runtime_checkable
class Augmented(Protocol):
    """What a recipe says of its augmentation."""

    randaugment: str  # timm's notation
    random_erasing: float
    flip: float


class MixedSample:
    """An augmented image and its label, with its numbers for stochastic depth and for mixing."""

    def __init__(
        self,
        config: Cropped,
        recipe: Augmented,
        num_drop_path_uniforms: int,
        stats: PixelStats = IMAGENET,
    ) -> None:
        self.seed, self.num_drop_path_uniforms = config.seed, num_drop_path_uniforms
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
        drop_path_uniforms = generator(Purpose.DEPTH, self.seed, *key).random(
            self.num_drop_path_uniforms, dtype="float32"
        )
        mix_seed = derive(Purpose.MIXING, self.seed, *key)
        return {
            "image": view,
            "label": label,
            "drop_path_uniforms": torch.from_numpy(drop_path_uniforms),
            "mix_seed": mix_seed,
        }
