"""Image transforms, from torchvision (v2) and timm; each draws from the global generators, which `seeded` sets."""

import math
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, Literal, NamedTuple, cast

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from timm.data.transforms_factory import create_transform
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from caebench.specs.pixel_stats import IMAGENET, PixelStats

Transform = Callable[[Image.Image], Tensor]
Pixels = UInt8[Tensor, "3 height width"]  # a decoded image
BICUBIC = v2.InterpolationMode.BICUBIC
CROP_RATIO = 224 / 256  # validation: resize to 256, centre crop 224


def to_tensor(image: Image.Image) -> Tensor:
    """[3, height, width] in 0..1; the same values as torchvision's, at a sixth of its cost for small images."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float().div_(255.0)


def normalize(image: Tensor, stats: PixelStats = IMAGENET) -> Tensor:
    """By the mean and the standard deviation of the encoder's pixels (ADR 25)."""
    mean, std = (value.to(image.device, non_blocking=True) for value in _planes(stats))
    return (image - mean) / std


@cache
def _planes(stats: PixelStats) -> tuple[Float[Tensor, "3 1 1"], ...]:
    return tuple(torch.tensor(values)[:, None, None] for values in stats)


class Wanted(NamedTuple):
    """A square view of a crop, which the device is to make (`data.crops`)."""

    size: int
    filter: Literal["bicubic", "lanczos"]
    normalized: bool
    stats: PixelStats = IMAGENET  # by which, where it is normalised


class Crop(NamedTuple):
    """A piece of an image, row by row, and the views that are wanted of it."""

    pixels: UInt8[Tensor, "height width 3"]  # shares the image's memory
    flipped: bool  # to be flipped, left to right
    views: Mapping[str, Wanted]


class TwoViews:
    """One flipped crop at two sizes: bicubic for the encoder, Lanczos for the tokenizer (official datasets.py).

    The flip comes before the crop, and a colour jitter before both (official BEiT). The tokenizer's view is
    [3, height, width] in 0..1, not normalised; None without a tokenizer.
    """

    def __init__(
        self, image_size: int, tokenizer_size: int | None, crop_scale_min: float, color_jitter: float = 0.0
    ) -> None:
        self.image_size, self.tokenizer_size = image_size, tokenizer_size
        self.crop = v2.RandomResizedCrop(image_size, scale=(crop_scale_min, 1.0))
        self.jitter = v2.ColorJitter(*3 * (color_jitter,)) if color_jitter else None
        self.wanted = {"image": Wanted(image_size, "bicubic", normalized=True)}
        if tokenizer_size is not None:
            self.wanted["view"] = Wanted(tokenizer_size, "lanczos", normalized=False)

    def __call__(self, image: Image.Image) -> tuple[Tensor, Tensor | None]:
        """Both views of one random crop."""
        image = self._cut(image)
        view = normalize(to_tensor(image.resize((self.image_size, self.image_size), Image.Resampling.BICUBIC)))
        return view, None if self.tokenizer_size is None else self._for_tokenizer(image, self.tokenizer_size)

    def tokenizer_view(self, image: Image.Image) -> Tensor:
        """The second view of the same crop, alone."""
        assert self.tokenizer_size is not None, "there is no tokenizer"
        return self._for_tokenizer(self._cut(image), self.tokenizer_size)

    def cut(self, pixels: Pixels) -> Crop:
        """The crop that both show, not resized."""
        assert self.jitter is None, "colours are jittered on Pillow's images"
        flipped = bool(torch.rand(()) < 0.5)
        box = self.crop.make_params([pixels])
        if flipped:
            box["left"] = pixels.shape[2] - box["left"] - box["width"]  # its place before the flip
        return Crop(cut_out(pixels, box), flipped, self.wanted)

    def _for_tokenizer(self, crop: Image.Image, size: int) -> Tensor:
        return to_tensor(crop.resize((size, size), Image.Resampling.LANCZOS))

    def _cut(self, image: Image.Image) -> Image.Image:
        """A random crop, which depends on neither size."""
        if self.jitter is not None:
            image = self.jitter(image)
        if torch.rand(()) < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        box = self.crop.make_params([image])
        return image.crop((box["left"], box["top"], box["left"] + box["width"], box["top"] + box["height"]))


class OneTryCrop(v2.RandomResizedCrop):
    """Random resized crop that draws once and cuts the box to the image, as MAE's linear probe does (its util/crop.py).

    torchvision's draws up to ten times and then takes the centre.
    """

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw the box."""
        height, width = F.get_size(flat_inputs[0])
        area = height * width * torch.empty(1).uniform_(*self.scale).item()
        aspect = math.exp(torch.empty(1).uniform_(*(math.log(ratio) for ratio in self.ratio)).item())
        box_width = min(round(math.sqrt(area * aspect)), width)
        box_height = min(round(math.sqrt(area / aspect)), height)
        top = int(torch.randint(0, height - box_height + 1, (1,)))
        left = int(torch.randint(0, width - box_width + 1, (1,)))
        return {"top": top, "left": left, "height": box_height, "width": box_width}


class CropAndFlip:
    """Random resized crop, flip, normalise: the whole augmentation of both probes."""

    def __init__(
        self, image_size: int, crop_scale_min: float, *, one_try: bool = False, stats: PixelStats = IMAGENET
    ) -> None:
        crop = OneTryCrop if one_try else v2.RandomResizedCrop
        self.crop = crop(image_size, (crop_scale_min, 1.0), interpolation=BICUBIC)
        self.wanted = {"image": Wanted(image_size, "bicubic", normalized=True, stats=stats)}
        self.transform = v2.Compose([self.crop, v2.RandomHorizontalFlip(), to_tensor, partial(normalize, stats=stats)])

    def __call__(self, image: Image.Image) -> Tensor:
        """A view."""
        return self.transform(image)

    def cut(self, pixels: Pixels) -> Crop:
        """The crop that it shows, not resized."""
        box = self.crop.make_params([pixels])
        flipped = bool(torch.rand(1) < 0.5)
        return Crop(cut_out(pixels, box), flipped, self.wanted)


def cut_out(pixels: Pixels, box: Mapping[str, int]) -> UInt8[Tensor, "box_height box_width 3"]:
    """The pixels of a box."""
    rows, columns = (
        slice(box[start], box[start] + box[size]) for start, size in (("top", "height"), ("left", "width"))
    )
    return pixels.permute(1, 2, 0)[rows, columns]


def evaluation(image_size: int, stats: PixelStats = IMAGENET) -> Transform:
    """Resize by 256/224, centre crop, normalise."""
    return v2.Compose([evaluation_unnormalized(image_size), partial(normalize, stats=stats)])


def evaluation_unnormalized(image_size: int) -> Transform:
    """Resize by 256/224 and centre crop, in 0..1."""
    resize = v2.Resize(round(image_size / CROP_RATIO), interpolation=BICUBIC)
    return v2.Compose([resize, v2.CenterCrop(image_size), to_tensor])


def whole_image(image_size: int) -> Transform:
    """Random resized crop and flip in 0..1, not normalised: what the discrete VAE trains on."""
    return v2.Compose([v2.RandomResizedCrop(image_size, (0.08, 1.0)), v2.RandomHorizontalFlip(), to_tensor])


def supervised(
    image_size: int,
    crop_scale_min: float,
    randaugment: str,
    random_erasing: float,
    stats: PixelStats = IMAGENET,
    *,
    flip: float = 0.5,
) -> Transform:
    """timm's training transform: RandAugment and random erasing; no colour jitter, as RandAugment replaces it."""
    transform = create_transform(
        image_size,
        is_training=True,
        scale=(crop_scale_min, 1.0),
        color_jitter=0.0,
        hflip=flip,
        auto_augment=randaugment,
        interpolation="bicubic",
        re_prob=random_erasing,
        re_mode="pixel",
        mean=stats.mean,
        std=stats.std,
    )
    return cast(Transform, transform)  # one composition; a tuple of three only with `separate`
