"""What the synthetic data is made of: handwritten digits, photographs, colours and strokes.

The digits are scikit-learn's 1,797 (8x8), the photographs those in scikit-image's wheel. Both are split between train
and val here, and only here: no source digit and no piece of a photograph serves both.
"""

import colorsys
import importlib.resources
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from caebench.datasets.errors import DataError
from caebench.datasets.splits import Split

Floats = NDArray[np.floating]  # [height, width] or [height, width, 3], in 0..1
Mask = NDArray[np.bool_]  # [height, width]

PHOTOGRAPHS = (
    "astronaut.png",
    "brick.png",
    "camera.png",
    "chelsea.png",
    "coffee.png",
    "coins.png",
    "grass.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "motorcycle_left.png",
    "page.png",
    "retina.jpg",
    "rocket.jpg",
)
TRAIN_SHARE = 0.7  # of a photograph's width; the rest is for val
SHRINKS = (1, 2, 4, 8)  # a large piece is cut from a smaller copy, which is quicker
GAP = 2 * SHRINKS[-1]  # pixels between the two parts: interpolation looks a little beyond a piece's edge
VAL_EVERY = 5  # every fifth digit of a class is for val
PAD = 2  # empty pixels around an 8x8 digit, so that the interpolation has somewhere to fade


@cache
def digit_sources(split: Split) -> tuple[tuple[int, ...], ...]:
    """For each class 0-9, the indices into scikit-learn's digits that this split may use."""
    labels = _load_digits()[1]
    of_class = [np.flatnonzero(labels == digit) for digit in range(10)]
    is_val = [np.arange(len(indices)) % VAL_EVERY == VAL_EVERY - 1 for indices in of_class]
    keep = is_val if split == "val" else [~chosen for chosen in is_val]
    return tuple(tuple(indices[chosen].tolist()) for indices, chosen in zip(of_class, keep, strict=True))


@cache
def _load_digits() -> tuple[tuple[Image.Image, ...], NDArray[np.int64]]:
    """All digits as small images of floats, padded and scaled to 0..1, and their labels."""
    from sklearn.datasets import load_digits  # takes a second to import: only rendering pays for it

    flat, labels = (np.asarray(part) for part in load_digits(return_X_y=True))
    images = np.pad(flat.reshape(-1, 8, 8) / 16.0, ((0, 0), (PAD, PAD), (PAD, PAD)))
    return tuple(Image.fromarray(image) for image in images.astype(np.float32)), labels.astype(np.int64)


def random_digit(rng: np.random.Generator, split: Split, digit: int) -> Image.Image:
    """One handwritten example of a digit, to be warped."""
    sources = digit_sources(split)[digit]
    return _load_digits()[0][sources[rng.integers(len(sources))]]


@dataclass(frozen=True)
class Pose:
    """Where and how a digit lies in the picture; sizes in pixels, angles in radians."""

    extent: float
    centre: tuple[float, float]  # x, y
    rotation: float
    shear: float
    aspect: float

    def jittered(self, rng: np.random.Generator, amount: float) -> "Pose":
        """Nearly the same pose, as by a hand that draws the line twice."""
        x, y, turn, size = rng.normal(0.0, amount, 4)
        centre = (self.centre[0] + x * self.extent, self.centre[1] + y * self.extent)
        return Pose(self.extent * (1 + size), centre, self.rotation + turn, self.shear, self.aspect)


def random_pose(rng: np.random.Generator, size: int, low: float, high: float, margin: float = 0.5) -> Pose:
    """A pose whose extent is `low` to `high` of the picture; `margin` is how much of it stays inside its borders."""
    extent = size * rng.uniform(low, high)
    x, y = rng.uniform(margin * extent, size - margin * extent, 2)
    rotation, shear, log_aspect = rng.uniform(-1.0, 1.0, 3) * (0.25, 0.2, 0.15)
    return Pose(extent, (x, y), rotation, shear, float(np.exp(log_aspect)))


def warp(source: Image.Image, pose: Pose, size: int) -> Floats:
    """The digit's ink in its pose: smooth, 0 where there is none and about 1 in the middle of a stroke."""
    scale = 8.0 / pose.extent  # source pixels in one pixel of the picture
    cos, sin = np.cos(pose.rotation) * scale, np.sin(pose.rotation) * scale
    a, b = cos / pose.aspect + pose.shear * -sin, sin / pose.aspect + pose.shear * cos
    d, e = -sin, cos
    x, y = pose.centre
    middle = source.width / 2
    inverse = (a, b, middle - a * x - b * y, d, e, middle - d * x - e * y)
    moved = source.transform((size, size), Image.Transform.AFFINE, inverse, Image.Resampling.BICUBIC)
    return np.asarray(moved)


def coverage(ink: Floats, pose: Pose, threshold: float = 0.45) -> Floats:
    """How much of each pixel the digit covers: ink above the threshold, with an edge about one pixel wide."""
    return np.clip((ink - threshold) * (pose.extent / 8.0) + 0.5, 0.0, 1.0)


@cache
def photograph(name: str, shrink: int = 1) -> Image.Image:
    """One of scikit-image's bundled photographs, in RGB, at one `shrink`-th of its size."""
    if shrink > 1:
        return photograph(name).reduce(shrink)
    file = importlib.resources.files("skimage") / "data" / name
    if not file.is_file():
        raise DataError(
            str(file), "the photograph is not in this scikit-image", "Reinstall scikit-image from its wheel"
        )
    with file.open("rb") as stream, Image.open(stream) as image:
        return image.convert("RGB")


def crop(rng: np.random.Generator, split: Split, size: int, names: Sequence[str] = PHOTOGRAPHS) -> Floats:
    """A square piece of a photograph from the split's part of it, in a random tint."""
    name = names[int(rng.integers(len(names)))]
    width, height = photograph(name).size
    border = int(TRAIN_SHARE * width / SHRINKS[-1]) * SHRINKS[-1]  # on a pixel's edge at every size
    left, right = (0, border) if split == "train" else (border + GAP, width)
    side = rng.uniform(0.4, 1.0) * min(right - left, height)
    x = left + rng.uniform() * (right - left - side)
    y = rng.uniform() * (height - side)
    shrink = max(factor for factor in SHRINKS if factor == 1 or factor * size <= side)
    box = (x / shrink, y / shrink, (x + side) / shrink, (y + side) / shrink)
    piece = photograph(name, shrink).resize((size, size), Image.Resampling.BILINEAR, box)
    if rng.uniform() < 0.5:
        piece = piece.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    pixels = np.asarray(piece, np.float32)
    pixels *= (rng.uniform(0.7, 1.2, 3) / 255).astype(np.float32)
    pixels += np.float32(rng.uniform(-0.1, 0.1))
    return np.clip(pixels, 0.0, 1.0, out=pixels)


def random_colour(rng: np.random.Generator, saturation: tuple[float, float] = (0.2, 0.9)) -> Floats:
    """Any hue, neither black nor white."""
    rgb = colorsys.hsv_to_rgb(rng.uniform(), rng.uniform(*saturation), rng.uniform(0.35, 0.95))
    return np.array(rgb, np.float32)


def stripes(rng: np.random.Generator, size: int, period: tuple[float, float]) -> Floats:
    """A colour and its shade in slanted stripes; `period` in pixels."""
    angle, phase = rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi)
    frequency = 2 * np.pi / rng.uniform(*period)
    ramp = np.arange(size, dtype=np.float32) * frequency
    wave = np.sin(ramp[None, :] * np.cos(angle) + ramp[:, None] * np.sin(angle) + phase)
    share = np.clip(wave * 2 + 0.5, 0.0, 1.0).astype(np.float32)
    return random_colour(rng) * (np.float32(0.35) + np.float32(0.65) * share)[:, :, None]


def luminance(image: Floats) -> Floats:
    """Brightness as the eye weighs it (ITU-R BT.601), of an image or one colour.

    Not a matrix product: BLAS may sum in another order on another number of threads, and change a byte.
    """
    red, green, blue = image[..., 0], image[..., 1], image[..., 2]
    return np.asarray(red * np.float32(0.299) + green * np.float32(0.587) + blue * np.float32(0.114), np.float32)


def haze(image: Floats, contrast: float) -> Floats:
    """Pull an image towards its mean colour."""
    mean = image.mean(axis=0).mean(axis=0, dtype=np.float32)
    return mean + (image - mean) * np.float32(contrast)


def set_off(texture: Floats, ground: Floats, where: Floats, amount: float) -> Floats:
    """Shift a texture's brightness so that it stands off its ground by `amount`: up, if there is room."""
    below = float((luminance(ground) * where).sum()) / max(float(where.sum()), 1e-6)
    own = float(luminance(texture).mean())
    sign = 1.0 if below + amount <= 1.0 else -1.0
    return np.clip(texture + np.float32(below + sign * amount - own), 0.0, 1.0)


def paint(image: Floats, texture: Floats, where: Floats) -> Floats:
    """Lay a texture (or one colour) over an image where `where` is 1."""
    return np.asarray(image + (texture - image) * where[:, :, None], np.float32)


def cover(image: Floats, colour: Floats, where: Mask, opacity: float = 1.0) -> None:
    """Lay one colour over part of an image, in place."""
    image[where] += (colour - image[where]) * np.float32(opacity)


def stroke(rng: np.random.Generator, size: int, width: float, length: float) -> Mask:
    """A bent line, `width` and `length` as shares of the picture."""
    mask = Image.new("L", (size, size))
    start = rng.uniform(0, size, 2)
    steps = rng.normal(0.0, 0.5, (3, 2)) + np.array(_direction(rng))
    points = np.vstack([start, start + np.cumsum(steps, axis=0) * (length * size / 3)])
    ImageDraw.Draw(mask).line(
        [tuple(p) for p in points.tolist()], fill=1, width=max(1, round(width * size)), joint="curve"
    )
    return np.asarray(mask).view(np.bool_)


def blob(rng: np.random.Generator, size: int, radius: float) -> Mask:
    """A filled ellipse, `radius` as a share of the picture."""
    x, y = rng.uniform(0, size, 2)
    wide, high = rng.uniform(0.6, 1.4, 2) * radius * size
    mask = Image.new("L", (size, size))
    ImageDraw.Draw(mask).ellipse((x - wide, y - high, x + wide, y + high), fill=1)
    return np.asarray(mask).view(np.bool_)


def _direction(rng: np.random.Generator) -> tuple[float, float]:
    angle = rng.uniform(0, 2 * np.pi)
    return float(np.cos(angle)), float(np.sin(angle))
