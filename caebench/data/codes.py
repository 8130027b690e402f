"""Cached codes: a file an epoch, a row an image. The last number of a row is its checksum (ADR 19).

A row is read by its place in the file, with one call of a few hundred bytes: on a network file system no page around it
is fetched, and a file that was cut short is an error, where a memory map would be a crash.
"""

import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from numpy.lib import format as npy
from torch import Tensor

from caebench.data.loading import Key
from caebench.datasets.errors import DataError
from caebench.files.atomic import replacing
from caebench.files.layout import epoch_file
from caebench.specs.inputs.code_cache import Codes

REMEDY = (
    "Delete the folder and run the suite again, or take code_cache_gb out of the site file: no number depends on it."
)


def checksum(row: np.ndarray, key: Key) -> int:
    """Of an image's codes and of its place: a row of another image or epoch is seen, too."""
    return zlib.crc32(b"%d %d" % key, zlib.crc32(row.tobytes())) & 0xFFFF


class EpochWriter:
    """An epoch's file, which is there whole or not at all: once the `with` block has ended without an error."""

    def __init__(self, folder: Path, epoch: int, shape: tuple[int, int]) -> None:
        self.epoch, self.shape = epoch, shape
        self._replacing = replacing(epoch_file(folder, epoch))

    def __enter__(self) -> "EpochWriter":
        self.file = self._replacing.__enter__().open("wb")
        shape = self.shape[0], self.shape[1] + 1
        npy.write_array_header_1_0(self.file, {"descr": "<u2", "fortran_order": False, "shape": shape})
        return self

    def __exit__(self, *error: Any) -> None:
        self.file.close()
        self._replacing.__exit__(*error)

    def write(self, first: int, codes: Int[Tensor, "images patches"]) -> None:
        """Add the next images' rows, the first of which is number `first`."""
        rows = codes.cpu().numpy().astype("<u2")
        sums = [checksum(row, (self.epoch, first + place)) for place, row in enumerate(rows)]
        self.file.write(np.column_stack([rows, np.array(sums, "<u2")]).tobytes())


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
        except PermissionError:
            raise
        except (OSError, ValueError) as error:
            raise DataError(path, f"cannot be read as an epoch's codes ({error})", REMEDY) from error
        if shape != (rows, self.config.num_patches + 1) or size != rows * self.config.image_bytes:
            raise DataError(path, f"holds {size} bytes of shape {shape}, not the codes of {rows} images", REMEDY)
