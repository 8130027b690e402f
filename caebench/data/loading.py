"""Batches. A training sample is named by (epoch, index), so the loader can start at any step and on any process."""

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset, Sampler
from torchvision.io import decode_jpeg, read_file

from caebench.data.crops import collate as collate_crops
from caebench.data.loaders import Loader
from caebench.data.randomness import Purpose, generator
from caebench.datasets.errors import DataError, reject_special
from caebench.datasets.pixels import UNREADABLE, as_rgb, as_stored
from caebench.datasets.splits import ImageSplit
from caebench.files.permissions import denied_at
from caebench.specs.site import Resize

RESTORE = "Run `caebench data check` to find every such file, and restore it from the original archive"
CACHED_BYTES = 64 * 2**20
GROUP = 32  # images decoded before the first becomes a sample: code that runs again is in the core's cache still
Key = tuple[int, int]  # epoch, index
Collate = Callable[[list[dict[str, Any]]], dict[str, Any]]  # from samples to a batch
MakeSample = Callable[[Any, int, Key], dict[str, Any]]  # image (Pillow's, or bytes: `Samples`), label, key


def takes_pixels(make_sample: MakeSample) -> bool:
    """Whether it can leave the resizing to the device, and cut the image's bytes alone."""
    return getattr(make_sample, "takes_pixels", False)


class Samples(Dataset[dict[str, Any]]):
    """Images of a split, each turned into a sample by a function of the image, its label and its key.

    A split that is small when decoded is decoded once: at nano scale that is a third of the loading time. Where views
    are resized on the device, a function that takes them is given bytes to cut, and not an image of Pillow's.
    """

    def __init__(
        self, split: ImageSplit, make_sample: MakeSample, resize: Resize = "loader", *, keep: bool = True
    ) -> None:
        self.split, self.make_sample = split, make_sample
        self.root = os.path.join(split.root, "")  # strings: a path object takes as long as a crop
        self._decode = read_pixels if resize == "device" and takes_pixels(make_sample) else open_image
        self._keeps = keep and self._is_small()
        self._open = self._opener()

    def _opener(self) -> Callable[[str], Any]:
        return lru_cache(maxsize=None)(self._decode) if self._keeps else self._decode

    def __getstate__(self) -> dict[str, Any]:
        """All but the decoded images: a loader's process that is not forked decodes its own."""
        return {name: value for name, value in vars(self).items() if name != "_open"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._open = self._opener()

    def _is_small(self) -> bool:
        if not self.split.entries:
            return False
        width, height = open_image(self.root + self.split.entries[0][0]).size
        return 3 * width * height * len(self.split.entries) <= CACHED_BYTES

    def __len__(self) -> int:
        return len(self.split.entries)

    def __getitem__(self, key: Key) -> dict[str, Any]:
        return self.__getitems__([key])[0]

    def __getitems__(self, keys: Sequence[Key]) -> list[dict[str, Any]]:
        """Several samples: torch's loader asks for a whole batch."""
        return [sample for first in range(0, len(keys), GROUP) for sample in self._make(keys[first : first + GROUP])]

    def _make(self, keys: Sequence[Key]) -> list[dict[str, Any]]:
        entries = [self.split.entries[index % len(self)] for _, index in keys]
        images = [self._open(self.root + path) for path, _ in entries]
        return [
            self.make_sample(image, label, key) for image, (_, label), key in zip(images, entries, keys, strict=True)
        ]


def open_image(path: str | Path) -> Image.Image:
    """The whole image in RGB, as stored: its EXIF orientation is ignored (ADR 28).

    Raises:
        DataError: the file is missing, truncated or no image, or its values have no known range.
    """
    reject_special(path, f"{RESTORE}.")
    with _naming(path), Image.open(path) as image:
        return as_rgb(as_stored(image), path)


@contextmanager
def _naming(path: str | Path) -> Generator[None]:
    """Have what Pillow raises of a file name it, and say what to do."""
    try:
        yield
    except PermissionError as error:
        raise DataError(path, *denied_at(Path(path))) from error
    except DataError:
        raise
    except UNREADABLE as error:
        raise DataError(path, f"cannot be read as an image ({error})", f"{RESTORE}.") from error


def read_pixels(path: str | Path) -> UInt8[Tensor, "3 height width"]:
    """The same image as bytes, which lie as Pillow's do; files that hold no JPEG of three channels by way of Pillow.

    Raises:
        DataError: the file is missing, truncated, no image, or has more pixels than Pillow reads.
    """
    reject_special(path, f"{RESTORE}.")
    with _naming(path), Image.open(path):
        pass  # it reads the size alone, and refuses what libjpeg would take all memory for
    try:
        pixels = decode_jpeg(read_file(str(path)))  # equal to Pillow's, in 0.7 of its time
    except RuntimeError:
        pixels = None
    if isinstance(pixels, Tensor) and len(pixels) == 3:
        return pixels
    return torch.from_numpy(np.array(open_image(path))).permute(2, 0, 1)


class Grouping(NamedTuple):
    """Images that belong together: each run of `size` in an epoch's order is of one group."""

    groups: Sequence[int]  # of each image
    size: int

    def arrange(self, order: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The order in runs: each group's images in theirs, the last run filled up from its start, the runs shuffled.

        As mmdetection's GroupSampler, which makes the runs of a GPU; here they follow from the order alone.
        """
        groups, runs = np.asarray(self.groups)[order], list[np.ndarray]()
        for group in np.unique(groups):
            members = order[groups == group]
            num_runs = -(-len(members) // self.size)
            runs.append(np.resize(members, (num_runs, self.size)))
        return rng.permutation(np.concatenate(runs)).flatten()


class Steps(Sampler[list[Key]]):
    """The micro-batches of one process from one step to the end: every step takes the next `global_batch` samples of
    the epoch's order, which depends on seed and epoch alone. The last, smaller batch of an epoch is dropped.

    With A accumulations and W processes, micro-batch a of process r holds the global positions
    [(a * W + r) * b, (a * W + r + 1) * b), b = global_batch / (A * W).

    With repeats (repeated augmentation, arXiv 1901.09335) each image of the order comes so many times in a row. Copy c
    of image i is sample i + c * num_samples, so each has randomness of its own; an epoch stays as long, and sees the
    first part of its order alone.
    """

    def __init__(
        self,
        num_samples: int,
        global_batch: int,
        *,
        seed: int,
        start: int,
        stop: int,
        rank: int,
        size: int,
        micro: int,
        repeats: int = 1,
        grouping: Grouping | None = None,
    ) -> None:
        self.num_samples, self.global_batch, self.seed = num_samples, global_batch, seed
        self.start, self.stop = start, stop
        self.offsets = range(rank * micro, global_batch, size * micro)
        self.micro, self.repeats, self.grouping = micro, repeats, grouping
        self.steps_per_epoch = num_samples // global_batch

    def __len__(self) -> int:
        return (self.stop - self.start) * len(self.offsets)

    def __iter__(self) -> Iterator[list[Key]]:
        order, ordered_epoch = None, -1
        for step in range(self.start, self.stop):
            epoch, within = divmod(step, self.steps_per_epoch)
            if order is None or epoch != ordered_epoch:
                order, ordered_epoch = self._order(epoch), epoch
            first = within * self.global_batch
            for offset in self.offsets:
                chosen = order[first + offset : first + offset + self.micro]
                yield [(epoch, int(index)) for index in chosen]

    def _order(self, epoch: int) -> np.ndarray:
        rng = generator(Purpose.ORDER, self.seed, epoch)
        images = rng.permutation(self.num_samples)
        if self.grouping is not None:
            return self.grouping.arrange(images, rng)
        copies = images[:, None] + self.num_samples * np.arange(self.repeats)
        return copies.flatten()[: self.num_samples]


def training_loader(samples: Samples, steps: Steps, num_workers: int, collate: Collate | None = None) -> Loader:
    """A loader over the micro-batches of `steps`."""
    return _loader(samples, steps, num_workers, collate)


def evaluation_loader(samples: Samples, rank: int, size: int, batch: int, num_workers: int) -> Loader:
    """Every `size`-th image of the split from `rank` on, in order, each once; epoch 0."""
    indices = range(rank, len(samples), size)
    batches = [[(0, i) for i in indices[first : first + batch]] for first in range(0, len(indices), batch)]
    return _loader(samples, batches, num_workers)


def _loader(samples: Samples, batches: Sampler | Sequence, num_workers: int, collate: Collate | None = None) -> Loader:
    return Loader(
        samples,
        batch_sampler=batches,
        collate_fn=collate or collate_crops,
        num_workers=num_workers,
        pin_memory=torch.cuda.is_available(),
    )
