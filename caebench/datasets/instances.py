"""COCO's format of annotated objects: an annotation file, and what is wrong in one. No torch."""

import math
import posixpath
from collections import Counter
from itertools import chain
from pathlib import Path
from typing import Any

from caebench.datasets.errors import DataError, is_name, read_json
from caebench.datasets.inspection import Inspection
from caebench.datasets.pixels import PixelSize

PARTS = ("images", "annotations", "categories")
NO_MASK = ("instances without a mask", "no mask, expected polygons or run lengths in 'segmentation'")
ZERO_ID = ("ids", "id 0, which pycocotools takes for no match, expected 1 and above")
SHOWN = 100  # characters of an entry that has no id
LONGEST = 65_535  # pixels of a side: a JPEG has no more
LARGEST = 2**53  # beyond it floating-point numbers leave out whole ones
MIN_SIDE = 32  # pixels; images with a shorter side are not trained on (mmdetection 2.11, CocoDataset)
Categories = dict[int, str]  # id: name
Fault = tuple[str, str]  # kind, words


def read_description(path: Path, do: str) -> dict[str, Any]:
    """An annotation file whose images and categories are sound; its annotations may have faults.

    Raises:
        DataError: it cannot be read, or is unusable as a whole.
    """
    described = read_json(path, do)
    if fault := _fault_of_description(described):
        raise DataError(path, fault, do)
    return described


def _fault_of_description(described: Any) -> str:
    """What makes the file as a whole unusable, or nothing."""
    if not isinstance(described, dict):
        return "expected a JSON object"
    absent = [key for key in PARTS if not isinstance(described.get(key), list)]
    if absent:
        return f"no list of {', '.join(absent)}"
    for part in PARTS:
        for entry in described[part]:
            if not isinstance(entry, dict) or not isinstance(entry.get("id"), int):
                return f"one of {part} has no whole number as id: {str(entry)[:SHOWN]}"
    faults = chain(map(_fault_of_image, described["images"]), map(_fault_of_category, described["categories"]))
    unique = (*((part, "id") for part in PARTS), ("images", "file_name"), ("categories", "name"))
    twice = (_fault_of_key(described[part], part, key) for part, key in unique)  # of names that are texts by now
    return next(filter(None, chain(faults, twice)), "")


def _fault_of_image(image: dict[str, Any]) -> str:
    if lacking := [key for key in ("file_name", "width", "height") if key not in image]:
        return f"an image without {', '.join(lacking)}: {image}"
    sides, name = (image["width"], image["height"]), image["file_name"]
    if not all(isinstance(side, int) and 0 < side <= LONGEST for side in sides):
        return f"image {image['id']} of width and height {list(sides)}, expected whole numbers above 0, to {LONGEST}"
    if (
        not isinstance(name, str)
        or not is_name(name)
        or name != posixpath.normpath(name)
        or name.startswith(("/", ".."))
    ):
        return f"image {image['id']} of file_name {name!r}, expected a name as in 000000000001.jpg"
    return ""


def _fault_of_category(category: dict[str, Any]) -> str:
    is_named = isinstance(category.get("name"), str)
    return "" if is_named else f"a category without a number as id and a text as name: {category}"


def _fault_of_key(entries: list[Any], part: str, key: str) -> str:
    """Say which value several entries of a list have, or nothing."""
    (value, count), *_ = [*Counter(entry.get(key) for entry in entries).most_common(1), (None, 0)]
    return f"{count} {part} of {key} {value!r}, expected one" if count > 1 else ""


def categories_of(described: dict[str, Any]) -> Categories:
    """The names of the categories, by id."""
    return {category["id"]: category["name"] for category in described["categories"]}


def compare_categories(
    where: Path, ours: Categories, other: str, theirs: Categories, do: str, inspection: Inspection
) -> None:
    """Note each category that two files number or name differently."""
    for identity in sorted(ours.keys() | theirs.keys()):
        names = [f"{names[identity]!r}" if identity in names else "absent" for names in (ours, theirs)]
        if names[0] != names[1]:
            what = f"category {identity} is {names[0]}, and in {other} it is {names[1]}"
            inspection.add("categories that differ", where, what, do)


def faults_of(annotation: dict[str, Any], categories: Categories, shapes: dict[Any, list[int]]) -> list[Fault]:
    """Kind and words of all that pycocotools or mmdetection would stop at, or count wrongly without a word."""
    faults: list[Fault] = []
    category_id, image_id = annotation.get("category_id"), annotation.get("image_id")
    if not isinstance(category_id, int) or category_id not in categories:
        faults.append(("unknown categories", f"category_id {category_id}, which no category has"))
    if not (is_known := isinstance(image_id, int) and image_id in shapes):
        faults.append(("unknown images", f"image_id {image_id}, which no image has"))
    if annotation["id"] == 0:
        faults.append(ZERO_ID)
    box, area, is_crowd = (annotation.get(key) for key in ("bbox", "area", "iscrowd"))
    if not isinstance(box, list) or len(box) != 4 or not _are_numbers(box):
        faults.append(("boxes", f"bbox {box}, expected [x, y, width, height]"))
    if not _are_numbers([area]):
        faults.append(("areas", f"area {area}, expected a number of pixels"))
    if is_crowd not in (0, 1):
        faults.append(("crowds", f"iscrowd {is_crowd}, expected 0 or 1"))
    return faults + _faults_of_mask(annotation.get("segmentation"), shapes[image_id] if is_known else None)


def _are_numbers(values: list[Any]) -> bool:
    return set(map(type, values)) <= {int, float} and all(-LARGEST < value < LARGEST for value in values)


def _faults_of_mask(segmentation: Any, shape: list[int] | None) -> list[Fault]:
    """Of run lengths, or of polygons, of which at least one has three corners: readers leave the others out."""
    if isinstance(segmentation, dict):
        return _faults_of_run_lengths(segmentation, shape)
    polygons = segmentation if isinstance(segmentation, list) else []
    if not all(isinstance(polygon, list) and _are_numbers(polygon) for polygon in polygons):
        what = "a polygon that is no list of numbers in 'segmentation', expected [[x, y, x, y, ...], ...]"
        return [("polygons", what)]
    has_area = any(len(polygon) >= 6 and len(polygon) % 2 == 0 for polygon in polygons)
    return [] if has_area else [NO_MASK]


def _faults_of_run_lengths(segmentation: dict[str, Any], shape: list[int] | None) -> list[Fault]:
    size, counts = segmentation.get("size"), segmentation.get("counts")
    counts = _decompressed(counts) if isinstance(counts, str) else counts
    if not isinstance(size, list) or not isinstance(counts, list) or not any(counts[1::2]):  # the first are of zeros
        return [NO_MASK]
    if shape not in (None, size):
        what = f"run lengths of height and width {size}, but its image has {shape}"
        return [("masks of another size", what)]
    if not _are_numbers(counts) or min(counts) < 0 or (shape and sum(counts) != math.prod(shape)):
        return [("run lengths", f"run lengths that do not add up to height and width {size}")]
    return []


def _decompressed(text: str) -> list[int]:
    """pycocotools' text as run lengths: six bits a character, differences from the second last; a cut one is empty."""
    counts, value, shift = list[int](), 0, 0
    for character in text:
        code = ord(character) - 48
        value |= (code & 31) << shift
        shift += 5
        if shift > 60:  # no run is as long
            return []
        if not code & 32:
            value -= (code & 16) << (shift - 4)
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value, shift = 0, 0
    return [] if shift else counts


def check_images(sizes: dict[Path, PixelSize], inspection: Inspection) -> None:
    """Note missing pictures, and those of another size than the annotations say."""
    paths = inspection.existing(sizes, "the annotations")
    if not inspection.decode:
        return
    for path, image in inspection.decoded(paths):
        inspection.count_picture(path, image)
        if image.size != sizes[path]:
            inspection.add_size(path, image.size, sizes[path], "the annotations say")
