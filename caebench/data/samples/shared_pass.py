"""Samples of probes that share a pass of their encoder: an image in several augmentations (ADR 20)."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor

from caebench.data.crops import collate as collate_crops
from caebench.data.loading import Key
from caebench.data.randomness import Purpose, derive, seeded
from caebench.data.samples.labelled import show
from caebench.data.transforms import Crop, CropAndFlip, Pixels
from caebench.specs.pixel_stats import IMAGENET, PixelStats


class Augmentation(NamedTuple):
    """How the probes see their training images: a random crop and a flip."""

    image_size: int
    crop_scale_min: float
    one_try: bool
    stats: PixelStats = IMAGENET  # the encoder's

    def transform(self) -> CropAndFlip:
        """It, as a transform."""
        return CropAndFlip(self.image_size, self.crop_scale_min, one_try=self.one_try, stats=self.stats)


class SeveralViews:
    """An image as each augmentation shows it; views that are equal, as most are, are one (collated by `collate`)."""

    def __init__(self, augmentations: Sequence[Augmentation], seed: int) -> None:
        self.transforms, self.seed = [augmentation.transform() for augmentation in augmentations], seed
        self.takes_pixels = True

    def __call__(self, image: Image.Image | Pixels, label: int, key: Key) -> dict[str, Any]:
        """The different views, or the crops that the device makes them of, and which of them each augmentation made."""
        views: list[dict[str, Tensor | Crop]] = []
        places: list[int] = []
        for transform in self.transforms:
            with seeded(derive(Purpose.VIEW, self.seed, *key)):
                view = show(image, transform)
            same = (place for place, other in enumerate(views) if _equal(view, other))
            places.append(next(same, len(views)))
            views += [view] if places[-1] == len(views) else []
        return {"views": views, "places": places, "label": label, "index": key[1]}


def collate(samples: list[dict[str, Any]]) -> dict[str, Any]:
    """All different views in a row, or their crops; and each augmentation's batch, as rows of them."""
    rows: list[list[int]] = []
    views: list[dict[str, Any]] = []
    for sample in samples:
        rows.append([len(views) + place for place in sample["places"]])
        views += sample["views"]
    numbers = {name: torch.tensor([sample[name] for sample in samples]) for name in ("label", "index")}
    return {**collate_crops(views), "rows": torch.tensor(rows).T.contiguous(), **numbers}


def _equal(one: Mapping[str, Tensor | Crop], other: Mapping[str, Tensor | Crop]) -> bool:
    (ours,), (theirs,) = one.values(), other.values()
    if isinstance(ours, Crop) and isinstance(theirs, Crop):
        return ours.flipped == theirs.flipped and torch.equal(ours.pixels, theirs.pixels)
    return isinstance(ours, Tensor) and isinstance(theirs, Tensor) and torch.equal(ours, theirs)
