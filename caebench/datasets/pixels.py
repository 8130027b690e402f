"""Pixels as stored, in 8 bits: a picture's EXIF orientation is counted and told, never applied (ADR 28). No torch."""

import struct
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.ExifTags import Base

from caebench.datasets.errors import DataError

UPRIGHT = 1  # the orientation that turns nothing, and that of a file without the tag
UNREADABLE = (  # what Pillow raises of a file that is damaged, no image, or far too large
    *(OSError, ValueError, SyntaxError, EOFError),
    *(Image.DecompressionBombError, Image.DecompressionBombWarning),
    *(TypeError, ArithmeticError, LookupError, struct.error),  # of tags whose values are of another type or size
)
TURNED_BACK = {  # by orientation: what undoes Pillow's turn of a TIFF file
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
STORE_TURNED = (
    "Pixels are read as stored and the tag is ignored (ADR 28): restore the published files, or write the picture "
    "again with its pixels turned and without the tag"
)
WRITE_8_BITS = "Write the picture again with 8 bits a channel"

PixelSize = tuple[int, int]  # width, height
LABEL_MODES = ("L", "P")  # of a label map, as Pillow calls them
IGNORED = 255  # the label that counts neither in training nor in a metric


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation of an opened image, 1 to 8; 1 where the tag is missing or cannot be read."""
    try:
        found = image.getexif().get(Base.Orientation, UPRIGHT)
    except (OSError, ValueError, SyntaxError, TypeError, struct.error):
        return UPRIGHT  # a damaged block says nothing, and ImageNet has some
    return found if found in TURNED_BACK else UPRIGHT


def as_stored(image: Image.Image) -> Image.Image:
    """An opened image with its pixels loaded as they lie in the file: of all formats, Pillow turns TIFF alone.

    Raises:
        OSError, SyntaxError, ValueError: Pillow's, of a file that is damaged.
    """
    orientation = orientation_of(image) if image.format == "TIFF" else UPRIGHT
    image.load()
    return image.transpose(TURNED_BACK[orientation]) if orientation in TURNED_BACK else image


def fault_of_range(image: Image.Image) -> str:
    """Why the values of a picture cannot be brought to 8 bits, or nothing: of 32 bits, no file says their range."""
    if image.mode not in ("I", "F") or _has_16_bits(image):
        return ""
    kind = {"I": "whole numbers", "F": "floating-point numbers"}[image.mode]
    return f"{kind} of 32 bits (mode {image.mode}), whose range is not known, expected 8 or 16 bits"


def as_rgb(image: Image.Image, path: Path | str) -> Image.Image:
    """Loaded pixels in RGB, 8 bits each: of 16 bits the upper 8, as Pillow reads colour; transparency is ignored.

    Raises:
        DataError: the range of the values is not known.
    """
    if fault := fault_of_range(image):
        raise DataError(path, fault, WRITE_8_BITS)
    if _has_16_bits(image):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    image.info.pop("transparency", None)  # Pillow would warn of it, and convert the same
    return image.convert("RGB")


def _has_16_bits(image: Image.Image) -> bool:
    """Whether it is grayscale of 16 bits; of PGM files, Pillow brings them to 16 and calls them I."""
    return image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM")


def size_error(path: Path, found: PixelSize, wanted: PixelSize, says: str, do: str) -> DataError:
    """A picture whose stored size is not that of its annotation; the error names its EXIF orientation.

    Args:
        says: what gives the wanted size, as in "its label map has".
        do: the remedy where the picture has no EXIF orientation.
    """
    with Image.open(path) as image:
        orientation = orientation_of(image)
    turned = orientation != UPRIGHT
    tag = f" stored, with EXIF orientation {orientation}" if turned else ""
    what = f"{found[0]}x{found[1]} pixels{tag}, where {says} {wanted[0]}x{wanted[1]}"
    return DataError(path, what, STORE_TURNED if turned else do)


def top_label_of(image: Image.Image) -> int:
    """The largest value of a loaded label map that is not the ignored one."""
    counts = image.histogram()[:IGNORED]
    return max((value for value, count in enumerate(counts) if count), default=0)


def fault_of_label_map(mode: str, top_label: int, num_classes: int, zero_is_other: bool = True) -> str:
    """What keeps a label map from being used, or nothing; 255 is ignored where 0 is a class."""
    if mode not in LABEL_MODES:
        return f"a label map of mode {mode}, expected one channel of 8 bits"
    if zero_is_other:
        return f"label {top_label}, expected 0 (other) to {num_classes}" if top_label > num_classes else ""
    expected = f"0 to {num_classes - 1}, or {IGNORED} where it is ignored"
    return f"label {top_label}, expected {expected}" if top_label >= num_classes else ""
