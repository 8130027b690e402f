"""Draw one picture of the synthetic data: an object, a dish, a clipart, a sketch or a scene.

Every function takes its own generator and returns uint8 pixels; which file they go to is the data set's business.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caebench.datasets.splits import Split
from caebench.datasets.synthetic.materials import (
    Floats,
    Mask,
    blob,
    cover,
    coverage,
    crop,
    haze,
    luminance,
    paint,
    random_colour,
    random_digit,
    random_pose,
    set_off,
    stripes,
    stroke,
    warp,
)

Pixels = NDArray[np.uint8]  # [height, width, 3]
Labels = NDArray[np.uint8]  # [height, width]

GROUNDS = {  # the background classes of a scene, in label order from 1, and the photograph each is cut from
    "brick": "brick.png",
    "coins": "coins.png",
}
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SCENE_DIGITS = 3  # the first three only: half a minute of training cannot tell ten apart
SCENE_CLASSES = (*GROUNDS, *DIGITS[:SCENE_DIGITS])  # label 1 is the first; 0 is "other"
FIRST_DIGIT_LABEL = len(GROUNDS) + 1  # ADE20K's label 0 is "other": strokes and blobs here
PALE = (0.0, 0.2)  # saturation of an object
HAZE = (0.05, 0.15)  # contrast of a backdrop
MIST = 0.3  # contrast of a scene's grounds
DUSK = (0.2, 0.25)  # mean brightness of both
GRAIN = 0.02  # of a photograph
CLUTTERED = 0.2  # share of backdrops
MIN_VISIBLE_PIXELS = 24  # a digit with less in sight is no instance ...
MIN_VISIBLE_SHARE = 0.25  # ... nor is one that is mostly hidden


def draw_object(rng: np.random.Generator, split: Split, digit: int, size: int) -> Pixels:
    """ImageNet-like: a pale digit anywhere on a dim, hazy photograph, sometimes among clutter or behind a spot."""
    image = _backdrop(rng, split, size)
    where = _digit_coverage(rng, split, digit, size, 0.5, 0.75)
    image = paint(image, set_off(random_colour(rng, PALE), image, where, rng.uniform(0.4, 0.6)), where)
    _occlude(rng, image)
    return _finish(rng, image, GRAIN)


def draw_dish(rng: np.random.Generator, split: Split, digit: int, striped: bool, size: int) -> Pixels:
    """Food-101-like: the finer question is whether a digit is plain or striped."""
    image = _backdrop(rng, split, size)
    where = _digit_coverage(rng, split, digit, size, 0.6, 0.85)
    texture = stripes(rng, size, (0.08 * size, 0.14 * size)) if striped else random_colour(rng, PALE)
    image = paint(image, set_off(texture, image, where, rng.uniform(0.4, 0.6)), where)
    _occlude(rng, image)
    return _finish(rng, image, GRAIN)


def draw_clipart(rng: np.random.Generator, split: Split, digit: int, size: int) -> Pixels:
    """DomainNet's clipart: flat colours, a thick outline, a few flat shapes behind."""
    image = np.empty((size, size, 3), np.float32)
    image[:] = random_colour(rng, (0.0, 0.5))
    for _ in range(rng.integers(1, 5)):
        shape = blob(rng, size, rng.uniform(0.05, 0.2)) if rng.uniform() < 0.6 else stroke(rng, size, 0.05, 0.6)
        image[shape] = random_colour(rng)
    pose = random_pose(rng, size, 0.5, 0.85)
    ink = warp(random_digit(rng, split, digit), pose, size)
    outline, inside = coverage(ink, pose, 0.2), coverage(ink, pose, 0.55)
    fill = set_off(random_colour(rng), image, outline, rng.uniform(0.1, 0.45))
    image = paint(paint(image, random_colour(rng) * np.float32(0.3), outline), fill, inside)
    return _finish(rng, image, grain=0.0)


def draw_sketch(rng: np.random.Generator, split: Split, digit: int, size: int) -> Pixels:
    """DomainNet's sketch: the digit's contour, pencilled twice on paper, among other lines."""
    pose = random_pose(rng, size, 0.5, 0.85)
    source = random_digit(rng, split, digit)
    pencil = np.zeros((size, size), np.float32)
    for _ in range(2):
        drawn = pose.jittered(rng, 0.02)
        pencil = np.maximum(pencil, _contour(warp(source, drawn, size), drawn.extent) * rng.uniform(0.5, 1.0))
    for _ in range(rng.integers(1, 5)):
        pencil = np.maximum(pencil, stroke(rng, size, 0.01, rng.uniform(0.2, 0.8)) * np.float32(rng.uniform(0.3, 0.8)))
    pencil = pencil * rng.uniform(0.55, 1.0, pencil.shape).astype(np.float32)  # the paper's tooth breaks the line
    paper = rng.uniform(0.75, 0.98) - rng.uniform(0.0, 0.08, 3).astype(np.float32)
    image = paint(np.broadcast_to(paper, (size, size, 3)), np.full(3, rng.uniform(0.05, 0.3), np.float32), pencil)
    return _finish(rng, image, grain=0.02)


def draw_photograph(rng: np.random.Generator, split: Split, size: int) -> Pixels:
    """A piece of a photograph in its own light, with nothing on it."""
    return _finish(rng, crop(rng, split, size), GRAIN)


@dataclass(frozen=True)
class Instance:
    """One digit of a scene and the pixels of it in sight."""

    digit: int
    mask: Mask


@dataclass(frozen=True)
class Scene:
    """A picture with everything that ADE20K and COCO say of one."""

    pixels: Pixels
    labels: Labels  # 0 other, 1.. grounds, FIRST_DIGIT_LABEL.. digits
    instances: tuple[Instance, ...]


def draw_scene(rng: np.random.Generator, split: Split, size: int) -> Scene:
    """One or two pale digits over a dim patchwork of grounds, with lines below and spots above."""
    image, labels = _patchwork(rng, split, size)
    owner = np.full((size, size), -1)
    digits = rng.integers(0, SCENE_DIGITS, rng.integers(1, 3)).tolist()
    for _ in range(rng.integers(0, 3)):
        _scribble(rng, image, labels, owner, stroke(rng, size, rng.uniform(0.01, 0.03), rng.uniform(0.2, 0.7)))
    areas: list[int] = []
    for number, digit in enumerate(digits):
        where = _digit_coverage(rng, split, digit, size, 0.5, 0.7)
        image = paint(image, set_off(random_colour(rng, PALE), image, where, rng.uniform(0.4, 0.6)), where)
        labels[where > 0.5] = FIRST_DIGIT_LABEL + digit
        owner[where > 0.5] = number
        areas.append(int((where > 0.5).sum()))
        if rng.uniform() < 0.2:
            _scribble(rng, image, labels, owner, blob(rng, size, rng.uniform(0.02, 0.06)))
    if rng.uniform() < 0.3:
        _scribble(rng, image, labels, owner, stroke(rng, size, 0.03, rng.uniform(0.2, 0.7)))
    return Scene(_finish(rng, image, GRAIN), labels, _in_sight(digits, areas, owner))


def _in_sight(digits: list[int], areas: list[int], owner: NDArray[np.int64]) -> tuple[Instance, ...]:
    found: list[Instance] = []
    for number, (digit, area) in enumerate(zip(digits, areas, strict=True)):
        mask = owner == number
        if mask.sum() >= max(MIN_VISIBLE_PIXELS, MIN_VISIBLE_SHARE * area):
            found.append(Instance(digit, mask))
    return tuple(found)


def _patchwork(rng: np.random.Generator, split: Split, size: int) -> tuple[Floats, Labels]:
    """Both grounds, each pixel taking the ground of its nearest seed."""
    num = len(GROUNDS)
    kinds = rng.permutation(len(GROUNDS))[:num]
    y, x = np.mgrid[:size, :size].astype(np.float32)
    seeds = rng.uniform(0, size, (num, 2))
    nearest = np.argmin([(x - seed[0]) ** 2 + (y - seed[1]) ** 2 for seed in seeds], axis=0)
    photographs = list(GROUNDS.values())
    image = np.zeros((size, size, 3), np.float32)
    for number, kind in enumerate(kinds):
        piece = _dim(rng, haze(crop(rng, split, size, (photographs[kind],)), MIST))
        np.copyto(image, piece, where=(nearest == number)[:, :, None])
    return image, (kinds[nearest] + 1).astype(np.uint8)


def _scribble(rng: np.random.Generator, image: Floats, labels: Labels, owner: NDArray[np.int64], where: Mask) -> None:
    """Paint something that is no class over whatever was there, in the picture and in its labels."""
    labels[where], owner[where] = 0, -1
    cover(image, random_colour(rng), where)


def _digit_coverage(rng: np.random.Generator, split: Split, digit: int, size: int, low: float, high: float) -> Floats:
    pose = random_pose(rng, size, low, high)
    return coverage(warp(random_digit(rng, split, digit), pose, size), pose)


def _contour(ink: Floats, extent: float) -> Floats:
    distance = np.abs(ink - 0.4) * (extent / 8.0)  # roughly in pixels
    return np.exp(-((distance / 0.6) ** 2))


def _backdrop(rng: np.random.Generator, split: Split, size: int) -> Floats:
    """A photograph in the haze and the dusk, sometimes cluttered: quiet enough that shape, not colour, is the news."""
    image = _dim(rng, haze(crop(rng, split, size), rng.uniform(*HAZE)))
    return _clutter(rng, split, image) if rng.uniform() < CLUTTERED else image


def _dim(rng: np.random.Generator, image: Floats) -> Floats:
    """Bring a photograph to the brightness of the dusk."""
    return np.clip(image + np.float32(rng.uniform(*DUSK) - luminance(image).mean()), 0.0, 1.0)


def _clutter(rng: np.random.Generator, split: Split, image: Floats) -> Floats:
    """Lines and torn pieces of other digits: they must not tell the class, and they do not."""
    size = len(image)
    for _ in range(rng.integers(0, 3)):
        line = stroke(rng, size, rng.uniform(0.02, 0.05), rng.uniform(0.3, 0.8))
        cover(image, random_colour(rng), line, rng.uniform(0.4, 0.8))
    if rng.uniform() < 0.5:
        piece = _digit_coverage(rng, split, int(rng.integers(10)), size, 0.25, 0.4)
        image = paint(image, random_colour(rng), _half_plane(rng, piece) * np.float32(rng.uniform(0.4, 0.8)))
    return image


def _half_plane(rng: np.random.Generator, piece: Floats) -> Floats:
    """Tear a digit through its middle, keeping one side."""
    size = len(piece)
    angle = rng.uniform(0, 2 * np.pi)
    ramp = np.arange(size, dtype=np.float32)
    distance = ramp[None, :] * np.cos(angle) + ramp[:, None] * np.sin(angle)
    total = max(float(piece.sum()), 1e-6)
    return piece * (distance > float((distance * piece).sum()) / total)


def _occlude(rng: np.random.Generator, image: Floats) -> None:
    """Sometimes a line or a spot across the finished picture, in place."""
    size, chance = len(image), rng.uniform()
    if chance < 0.06:
        cover(image, random_colour(rng), stroke(rng, size, 0.05, 0.8))
    elif chance < 0.12:
        cover(image, random_colour(rng), blob(rng, size, rng.uniform(0.05, 0.1)))


def _finish(rng: np.random.Generator, image: Floats, grain: float) -> Pixels:
    """Add grey sensor noise and round to bytes."""
    pixels = image * np.float32(255)
    if grain:
        noise = rng.standard_normal(image.shape[:2], dtype=np.float32)
        pixels += noise[:, :, None] * np.float32(255 * grain)
    pixels += np.float32(0.5)
    return np.clip(pixels, 0.0, 255.0, out=pixels).astype(np.uint8)


def bounding_box(mask: Mask) -> list[int]:
    """COCO's: left, top, width and height in pixels."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    x, y = int(columns[0]), int(rows[0])
    return [x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1]


def run_lengths(mask: Mask) -> list[int]:
    """COCO's uncompressed run lengths: column by column, starting with the zeros (none of them, perhaps)."""
    flat = np.concatenate([[False], mask.ravel(order="F")])
    starts = np.flatnonzero(flat[1:] != flat[:-1])
    return np.diff([0, *starts.tolist(), mask.size]).tolist()
