"""A transformed image and its label: for probes, and for every evaluation of whole images."""

from typing import Any

from PIL import Image
from torch import Tensor

from caebench.data.crops import CROP
from caebench.data.loading import Key
from caebench.data.randomness import Purpose, derive, seeded
from caebench.data.transforms import Crop, CropAndFlip, Pixels, Transform


class LabelledSample:
    """A transformed image, its label and its index; the transform draws from (seed, epoch, index)."""

    def __init__(self, transform: Transform, seed: int) -> None:
        self.transform, self.seed = transform, seed
        self.takes_pixels = isinstance(transform, CropAndFlip)

    def __call__(self, image: Image.Image | Pixels, label: int, key: Key) -> dict[str, Any]:
        """One sample."""
        with seeded(derive(Purpose.VIEW, self.seed, *key)):
            return {**show(image, self.transform), "label": label, "index": key[1]}


def show(image: Image.Image | Pixels, transform: Transform) -> dict[str, Tensor | Crop]:
    """The view of an image, or the crop that the device makes it of."""
    if isinstance(image, Tensor):
        assert isinstance(transform, CropAndFlip), "no other transform is finished on the device"
        return {CROP: transform.cut(image)}
    return {"image": transform(image)}
