"""Strongly augmented views of one image: BYOL's augmentations, as MoCo v3, DINO and iBOT use them."""

from dataclasses import dataclass

import torch
from PIL import Image, ImageFilter
from torch import Tensor
from torchvision.transforms import v2

from caebench.data.transforms import BICUBIC, Transform, normalize, to_tensor

BLUR_MIN = 0.1  # pixels


class Blur:
    """A Gaussian blur by chance, of a radius drawn each time (SimCLR, arXiv 2002.05709)."""

    def __init__(self, probability: float, radius_max: float) -> None:
        self.probability, self.radius_max = probability, radius_max

    def __call__(self, image: Image.Image) -> Image.Image:
        """The image, blurred or not."""
        if torch.rand(()) >= self.probability:
            return image
        radius = torch.empty(()).uniform_(min(BLUR_MIN, self.radius_max), self.radius_max)
        return image.filter(ImageFilter.GaussianBlur(float(radius)))


@dataclass(frozen=True)
class View:
    """How one kind of view is made."""

    size: int
    scale: tuple[float, float]  # the crop's share of the image
    blur: float  # probabilities
    solarize: float
    blur_max: float  # pixels
    interpolation: v2.InterpolationMode = BICUBIC

    def transform(self) -> Transform:
        """Crop, flip, colours, blur, solarisation: the order of DINO, and in effect that of MoCo v3."""
        return v2.Compose(
            [
                v2.RandomResizedCrop(self.size, self.scale, interpolation=self.interpolation),
                v2.RandomHorizontalFlip(),
                v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.2, 0.1)], p=0.8),
                v2.RandomGrayscale(p=0.2),
                Blur(self.blur, self.blur_max),
                v2.RandomSolarize(threshold=128, p=self.solarize),
                to_tensor,
                normalize,
            ]
        )


def two_views(
    size: int, scale: tuple[float, float], blur_max: float, interpolation: v2.InterpolationMode = BICUBIC
) -> list[Transform]:
    """The two large views (BYOL, arXiv 2006.07733, appendix B): one always blurred, one now and then solarised."""
    first = View(size, scale, 1.0, 0.0, blur_max, interpolation)
    second = View(size, scale, 0.1, 0.2, blur_max, interpolation)
    return [first.transform(), second.transform()]


def stack_views(image: Image.Image, transforms: list[Transform]) -> Tensor:
    """A view from each transform, of one size: [views, 3, height, width]."""
    return torch.stack([transform(image) for transform in transforms])
