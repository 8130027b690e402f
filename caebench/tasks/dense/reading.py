"""How dense tasks read pictures and label maps: as stored, like every other task (ADR 28), and of one size."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.datasets.transforms import LoadAnnotations

from caebench.data.loading import open_image
from caebench.datasets.pixels import PixelSize, size_error

CHECK = "Run `caebench data check` to find every such file, and restore it from the original archive"


class ReadPicture(BaseTransform):
    """A picture's bytes [height, width, 3], blue first, in place of mmcv's reader, which turns it by its EXIF tag."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Read the picture of a sample.

        Raises:
            DataError: it cannot be read, or its annotation says another width and height.
        """
        path = Path(results["img_path"])
        pixels = np.asarray(open_image(path))
        height, width = pixels.shape[:2]
        wanted = results.get("width", width), results.get("height", height)
        check_size(path, (width, height), wanted, "the annotations say")
        results["img"] = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
        results["img_shape"] = results["ori_shape"] = (height, width)
        return results


class ReadLabelMap(LoadAnnotations):
    """A label map, which must be as large as its picture."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Read the label map of a sample.

        Raises:
            DataError: its picture has another size.
        """
        super().transform(results)
        (height, width), (rows, columns) = results["ori_shape"], results["gt_seg_map"].shape
        says = f"its label map {results['seg_map_path']} has"
        check_size(Path(results["img_path"]), (width, height), (columns, rows), says)
        return results


def check_size(path: Path, found: PixelSize, wanted: PixelSize, says: str) -> None:
    """Compare a picture's stored size with that of its annotation.

    Raises:
        DataError: they differ.
    """
    if found != wanted:
        raise size_error(path, found, wanted, says, CHECK)
