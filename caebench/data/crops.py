"""Resizing on the device: loaders decode and cut, and a batch's crops travel as bytes, each of its size (ADR 21).

The arithmetic is Pillow's to the last bit: its fixed-point weights, rows first (as it does unless a crop is more than a
hundred times as high as wide), bytes between the two passes. All numbers are whole and below 2^53, so float64 adds them
without error, on any device and in any order.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.utils.data import default_collate

from caebench.data.transforms import Crop, Wanted, normalize

FRACTION_BITS = 22  # of a weight: PRECISION_BITS of Pillow's src/libImaging/Resample.c
MOST_PIXELS = 32 * 512 * 512  # of crops that are resized together, with their margins: 200 MB as float64
CROP = "crop"  # the entry of a sample that `collate` packs


@dataclass
class Crops:
    """A batch of crops, end to end, on the host."""

    pixels: UInt8[Tensor, " bytes"]
    shapes: list[tuple[int, int]]
    flipped: list[bool]
    views: Mapping[str, Wanted]

    @classmethod
    def pack(cls, crops: Sequence[Crop]) -> "Crops":
        """Crops of which the same views are wanted."""
        shapes = [(crop.pixels.shape[0], crop.pixels.shape[1]) for crop in crops]
        pixels = torch.empty(sum(_num_bytes(shapes)), dtype=torch.uint8)
        for part, crop in zip(pixels.split(_num_bytes(shapes)), crops, strict=True):
            part.view(crop.pixels.shape).copy_(crop.pixels)
        return cls(pixels, shapes, [crop.flipped for crop in crops], crops[0].views)

    def pin_memory(self) -> "Crops":
        """The same in memory that a GPU reads by itself; called by torch's loader."""
        return replace(self, pixels=self.pixels.pin_memory())

    def to_views(self, device: torch.device) -> dict[str, Float[Tensor, "batch 3 size size"]]:
        """The views, made on the device."""
        found: dict[str, list[Tensor]] = {name: [] for name in self.views}
        for crops in self._padded(self.pixels.to(device, non_blocking=True)):
            for name, wanted in self.views.items():
                found[name].append(_view(crops, wanted))
        return {name: torch.cat(parts) for name, parts in found.items()}

    def _padded(self, pixels: UInt8[Tensor, " bytes"]) -> Iterator["_Padded"]:
        """The crops, flipped as they should be, some at a time."""
        parts = pixels.split(_num_bytes(self.shapes))
        for some in groups(self.shapes):
            shapes = torch.tensor(self.shapes[some])
            room = pixels.new_zeros(len(shapes), *shapes.amax(dim=0).tolist(), 3)
            for crop, part, (height, width), flipped in zip(
                room, parts[some], self.shapes[some], self.flipped[some], strict=True
            ):
                upright = part.view(height, width, 3)
                crop[:height, :width] = upright.flip(1) if flipped else upright
            heights, widths = shapes.T.to(pixels.device, non_blocking=True)
            yield _Padded(room.permute(0, 3, 1, 2).double(), heights, widths)


def groups(shapes: Sequence[tuple[int, int]]) -> Iterator[slice]:
    """Neighbours that fit together when all are padded to the highest and the widest; a huge one is alone."""
    first, height, width = 0, 0, 0
    for number, (own_height, own_width) in enumerate(shapes):
        height, width = max(height, own_height), max(width, own_width)
        if number > first and (number + 1 - first) * height * width > MOST_PIXELS:
            yield slice(first, number)
            first, height, width = number, own_height, own_width
    yield slice(first, len(shapes))


def _num_bytes(shapes: list[tuple[int, int]]) -> list[int]:
    return [3 * height * width for height, width in shapes]


def collate(samples: list[dict[str, Any]]) -> dict[str, Any]:
    """A batch; crops, which differ in size, as `Crops`."""
    if CROP not in samples[0]:
        return default_collate(samples)
    rest = [{name: value for name, value in sample.items() if name != CROP} for sample in samples]
    return {CROP: Crops.pack([sample[CROP] for sample in samples]), **default_collate(rest)}


class _Padded(NamedTuple):
    """Some crops in the upper left of equal rectangles."""

    pixels: Float[Tensor, "crops 3 height width"]  # float64, 0 to 255
    heights: Int[Tensor, " crops"]
    widths: Int[Tensor, " crops"]


def _view(crops: _Padded, wanted: Wanted) -> Float[Tensor, "crops 3 size size"]:
    across = weights(crops.widths, wanted, crops.pixels.shape[3])[:, None]
    down = weights(crops.heights, wanted, crops.pixels.shape[2])[:, None]
    narrow = _to_bytes(crops.pixels @ across.mT)
    view = _to_bytes(down @ narrow).float() / 255.0
    return normalize(view, wanted.stats) if wanted.normalized else view


def _to_bytes(sums: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Fixed-point numbers, rounded half up and cut to 0..255."""
    return ((sums + 2 ** (FRACTION_BITS - 1)) / 2**FRACTION_BITS).floor().clamp(0, 255)


def weights(sizes: Int[Tensor, " crops"], wanted: Wanted, room: int) -> Float[Tensor, "crops size room"]:
    """What each pixel of a side adds to each of the view's, in units of 2^-22: whole numbers (Pillow's Resample.c)."""
    kernel, support = FILTERS[wanted.filter]
    length = sizes.double()[:, None, None]
    scale = length / wanted.size
    stretch = scale.clamp(min=1.0)
    center = (torch.arange(wanted.size, device=sizes.device, dtype=torch.float64)[:, None] + 0.5) * scale
    first = (center - support * stretch + 0.5).trunc().clamp(min=0.0)
    end = torch.minimum((center + support * stretch + 0.5).trunc(), length)
    most = 2 * math.ceil(support * max(1.0, room / wanted.size)) + 1
    place = first + torch.arange(most, device=sizes.device, dtype=torch.float64)
    raw = torch.where(place < end, kernel((place - center + 0.5) / stretch), 0.0)
    fixed = raw / raw.sum(dim=-1, keepdim=True) * 2**FRACTION_BITS
    fixed = torch.where(fixed < 0.0, fixed - 0.5, fixed + 0.5).trunc()
    dense = fixed.new_zeros(len(sizes), wanted.size, room)
    return dense.scatter_add_(2, place.long().clamp(max=room - 1), fixed)  # beyond the end: zeros


def _bicubic(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Keys' cubic with a = -1/2."""
    x = x.abs()
    near, far = (1.5 * x - 2.5) * x * x + 1.0, ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return torch.where(x < 1.0, near, torch.where(x < 2.0, far, 0.0))


def _lanczos(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """A sine cardinal, windowed by its own three lobes."""
    return torch.where(x.abs() < 3.0, torch.sinc(x) * torch.sinc(x / 3.0), 0.0)


# What a pixel weighs by its distance, and the distance from which on it weighs nothing.
FILTERS: Mapping[str, tuple[Callable[[Tensor], Tensor], float]] = {
    "bicubic": (_bicubic, 2.0),
    "lanczos": (_lanczos, 3.0),
}
