"""Cached codes: a file an epoch, a row an image. The last number of a row is its checksum (ADR 19).

A row is read by its place in the file, with one call of a few hundred bytes: on a network file system no page around it
is fetched, and a file that was cut short is an error, where a memory map would be a crash.
"""

import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from numpy.lib import format as npy
from PIL import Image
from torch import Tensor

from caebench.config.codes import Codes
from caebench.data.errors import DataError
from caebench.data.loading import Key, takes_pixels
from caebench.data.transforms import Pixels

REMEDY = (
    "Delete the folder and run the suite again, or take code_cache_gb out of the site file: no number depends on it."
)


def epoch_file(folder: Path, epoch: int) -> Path:
    """The codes of an epoch."""
    return folder / f"epoch-{epoch:04}.npy"


def checksum(row: np.ndarray, key: Key) -> int:
    """Of an image's codes and of its place: a row of another image or epoch is seen, too."""
    return zlib.crc32(b"%d %d" % key, zlib.crc32(row.tobytes())) & 0xFFFF


class EpochWriter:
    """An epoch's file, which is there whole or not at all."""

    def __init__(self, folder: Path, epoch: int, shape: tuple[int, int]) -> None:
        self.epoch, self.target = epoch, epoch_file(folder, epoch)
        self.partial = self.target.with_suffix(".partial")
        self.file = self.partial.open("wb")
        npy.write_array_header_1_0(
            self.file, {"descr": "<u2", "fortran_order": False, "shape": (shape[0], shape[1] + 1)}
        )

    def write(self, first: int, codes: Int[Tensor, "images patches"]) -> None:
        """Add the next images' rows, the first of which is number `first`."""
        rows = codes.cpu().numpy().astype("<u2")
        sums = [checksum(row, (self.epoch, first + place)) for place, row in enumerate(rows)]
        self.file.write(np.column_stack([rows, np.array(sums, "<u2")]).tobytes())

    def finish(self) -> None:
        """Give it its name."""
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        self.partial.replace(self.target)

    def give_up(self) -> None:
        """Leave nothing behind."""
        self.file.close()
        self.partial.unlink(missing_ok=True)


class CodeCache:
    """The codes of the first epochs of a split.

    Raises:
        DataError: a file is missing, or of other sizes.
    """

    def __init__(self, folder: Path, config: Codes, num_images: int) -> None:
        self.folder, self.config, self.num_images = folder, config, num_images
        self._opened: tuple[int, int, int] | None = None  # the epoch, its file's descriptor, where its rows begin
        for epoch in range(config.epochs):
            self._check_size(epoch_file(folder, epoch))

    def __contains__(self, epoch: int) -> bool:
        return epoch < self.config.epochs

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_opened": None}  # a loader's process opens files of its own

    def __del__(self) -> None:
        self._close()

    def read(self, key: Key) -> Int[Tensor, " patches"]:
        """The codes of a sample.

        Raises:
            DataError: the row is damaged.
        """
        epoch, index = key
        descriptor, start = self._open(epoch)
        size = self.config.image_bytes
        row = np.frombuffer(os.pread(descriptor, size, start + index * size), "<u2")
        if len(row) != self.config.num_patches + 1 or checksum(row[:-1], key) != row[-1]:
            raise DataError(epoch_file(self.folder, epoch), f"the codes of image {index} are damaged", REMEDY)
        return torch.from_numpy(row[:-1].astype(np.int64))

    def _open(self, epoch: int) -> tuple[int, int]:
        """An epoch's file, which stays open until another is asked for, and where its rows begin."""
        if self._opened is None or self._opened[0] != epoch:
            self._close()
            descriptor = os.open(epoch_file(self.folder, epoch), os.O_RDONLY)
            start = os.fstat(descriptor).st_size - self.num_images * self.config.image_bytes
            self._opened = epoch, descriptor, start
        return self._opened[1:]

    def _close(self) -> None:
        if self._opened is not None:
            os.close(self._opened[1])
        self._opened = None

    def _check_size(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                npy.read_magic(file)
                shape = npy.read_array_header_1_0(file)[0]
                size, rows = os.fstat(file.fileno()).st_size - file.tell(), self.num_images
        except (OSError, ValueError) as error:
            raise DataError(path, f"cannot be read as an epoch's codes ({error})", REMEDY) from error
        if shape != (rows, self.config.num_patches + 1) or size != rows * self.config.image_bytes:
            raise DataError(path, f"holds {size} bytes of shape {shape}, not the codes of {rows} images", REMEDY)


class CachedSample:
    """A sample with its codes out of the cache; made in full where the cache does not reach."""

    def __init__(self, make_sample: Callable[..., dict[str, Any]], cache: CodeCache) -> None:
        self.make_sample, self.cache = make_sample, cache
        self.takes_pixels = takes_pixels(make_sample)

    def __call__(self, image: Image.Image | Pixels, label: int, key: Key) -> dict[str, Any]:
        """Without the tokenizer's view where the codes are there."""
        if key[0] not in self.cache:
            return self.make_sample(image, label, key)
        return {**self.make_sample(image, label, key, with_view=False), "codes": self.cache.read(key)}
