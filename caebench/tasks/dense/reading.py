"""How dense tasks read pictures and label maps: as stored, like every other task (ADR 28), and of one size."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.datasets.transforms import LoadAnnotations
from PIL import Image

from caebench.data.loading import RESTORE, open_image
from caebench.datasets.errors import DataError, reject_special
from caebench.datasets.pixels import IGNORED, UNREADABLE, PixelSize, fault_of_label_map, size_error
from caebench.files.permissions import denied_at


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
    """A label map of so many classes, and "other" where 0 is no class, which must be as large as its picture."""

    def __init__(self, num_classes: int, zero_is_other: bool = True) -> None:
        super().__init__()
        self.num_classes, self.zero_is_other = num_classes, zero_is_other

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Read the label map of a sample.

        Raises:
            DataError: it cannot be read, is no label map, or its picture has another size.
        """
        path = Path(results["seg_map_path"])
        reject_special(path, f"{RESTORE}.")
        try:
            with Image.open(path) as image:
                mode = image.mode
            super().transform(results)
        except PermissionError as error:
            raise DataError(path, *denied_at(path)) from error
        except UNREADABLE as error:
            raise DataError(path, f"cannot be read as an image ({error})", f"{RESTORE}.") from error
        labels = results["gt_seg_map"]
        top_label = int(labels.max(where=labels != IGNORED, initial=0)) + self.zero_is_other  # 0 became the ignored one
        if fault := fault_of_label_map(mode, top_label, self.num_classes, self.zero_is_other):
            raise DataError(path, fault, f"{RESTORE}.")
        (height, width), (rows, columns) = results["ori_shape"], labels.shape
        says = f"its label map {path} has"
        check_size(Path(results["img_path"]), (width, height), (columns, rows), says)
        return results


def check_size(path: Path, found: PixelSize, wanted: PixelSize, says: str) -> None:
    """Compare a picture's stored size with that of its annotation.

    Raises:
        DataError: they differ.
    """
    if found != wanted:
        raise size_error(path, found, wanted, says, RESTORE)
