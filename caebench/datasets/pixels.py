"""Pixels as stored: a picture's EXIF orientation is counted and told in errors, never applied (ADR 28). No torch."""

import struct
from pathlib import Path

from PIL import Image
from PIL.ExifTags import Base

from caebench.datasets.errors import DataError

UPRIGHT = 1  # the orientation that turns nothing, and that of a file without the tag
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

PixelSize = tuple[int, int]  # width, height


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
