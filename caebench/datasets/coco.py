"""COCO 2017 (arXiv 1405.0312): pictures, and a file a split with a category, a box and a mask for each instance."""

import json
import math
import posixpath
from collections import Counter
from itertools import chain
from pathlib import Path
from typing import Any

from caebench.datasets.errors import DataError, is_name, read_json
from caebench.datasets.inspection import Inspection
from caebench.datasets.pixels import PixelSize
from caebench.datasets.scenes import SceneDataset
from caebench.datasets.splits import SPLITS, Size, Split
from caebench.datasets.synthetic.canvas import Canvas
from caebench.datasets.synthetic.rendering import DIGITS, SCENE_DIGITS, Instance, bounding_box, draw_scene, run_lengths

RENDERED_IDS = (1, 2, 4)  # of categories: with a gap, as the published ids have
UNUSED_IDS = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)  # COCO's own gaps
NAMES = (
    "person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, stop sign, "
    "parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, backpack, umbrella, "
    "handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove, skateboard, "
    "surfboard, tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange, "
    "broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, tv, laptop, "
    "mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, book, clock, vase, scissors, "
    "teddy bear, hair drier, toothbrush"
)
PARTS = ("images", "annotations", "categories")
NO_MASK = ("instances without a mask", "no mask, expected polygons or run lengths in 'segmentation'")
SHOWN = 100  # characters of an entry that has no id
LONGEST = 65_535  # pixels of a side: a JPEG has no more
LARGEST = 2**53  # beyond it floating-point numbers leave out whole ones
Categories = dict[int, str]  # id: name
PUBLISHED: Categories = dict(
    zip((one for one in range(1, 91) if one not in UNUSED_IDS), NAMES.split(", "), strict=True)
)


def _annotations(split: Split) -> str:
    return f"annotations/instances_{split}2017.json"


class COCO2017(SceneDataset):
    """Instances, in COCO's own format."""

    def places(self, split: Split) -> tuple[str, str]:
        return f"{split}2017", _annotations(split)

    def classes(self, root: Path, split: Split, size: Size) -> tuple[str, ...]:
        """By id, as both splits number them; the order in the file means nothing."""
        categories = _categories(read_json(root / _annotations(split), self.source))
        return tuple(categories[identity] for identity in sorted(categories))

    def inspect(self, inspection: Inspection) -> None:
        """The annotations, too."""
        root = inspection.root
        if not (root / "annotations").exists() and (root / "coco" / "annotations").is_dir():
            inspection.add("root", root, "the folder above coco", f"Name {root / 'coco'} in the site file")
            return
        sizes: dict[Path, PixelSize] = {}
        categories: dict[Split, Categories] = {}
        for split in SPLITS:
            described = _read_instances(split, inspection)
            if described is None:
                continue
            inspection.compare_count(split, len(described["images"]))
            categories[split] = _categories(described)
            _check_instances(split, described, inspection)
            num_instances = Counter(str(annotation.get("image_id")) for annotation in described["annotations"])
            for image in described["images"]:
                path = f"{split}2017/{image['file_name']}"
                sizes[root / path] = (image["width"], image["height"])
                inspection.marks.append((path, num_instances[str(image["id"])]))
        _check_categories(categories, inspection)
        _check_images(sizes, inspection)

    def render(self, canvas: Canvas) -> None:
        """Three digits."""
        size, names = canvas.amount.pixels, DIGITS[:SCENE_DIGITS]
        for split in SPLITS:
            images, annotations = list[dict[str, Any]](), list[dict[str, Any]]()
            first_id = 1 if split == "train" else 500_001
            for index, rng in canvas.pictures(split):
                image_id, scene = first_id + index, draw_scene(rng, split, size)
                file_name = f"{image_id:012d}.jpg"
                canvas.draw(f"{split}2017/{file_name}", scene.pixels)
                images.append({"id": image_id, "file_name": file_name, "height": size, "width": size, "license": 1})
                annotations += [_annotation(10 * image_id + n, image_id, one) for n, one in enumerate(scene.instances)]
            categories = [
                {"id": identity, "name": name, "supercategory": "digit"}
                for identity, name in zip(RENDERED_IDS, names, strict=True)
            ]
            described = {
                "info": {"description": "caebench synthetic data", "version": "1.0", "year": 2017},
                "licenses": [{"id": 1, "name": "BSD-3-Clause (scikit-learn, scikit-image)", "url": ""}],
                **{"images": images, "annotations": annotations, "categories": categories},
            }
            canvas.write(_annotations(split), json.dumps(described))


def _annotation(annotation_id: int, image_id: int, instance: Instance) -> dict[str, Any]:
    """One annotation; an uncompressed run-length mask keeps the holes that polygons would fill."""
    return {
        "id": annotation_id,
        "image_id": image_id,
        "category_id": RENDERED_IDS[instance.digit],
        "bbox": bounding_box(instance.mask),
        "area": int(instance.mask.sum()),
        "iscrowd": 0,
        "segmentation": {"size": list(instance.mask.shape), "counts": run_lengths(instance.mask)},
    }


def _read_instances(split: Split, inspection: Inspection) -> dict[str, Any] | None:
    path = inspection.root / _annotations(split)
    do = f"Unpack annotations_trainval2017.zip again. {inspection.source}"
    try:
        described = read_json(path, do)
        if fault := _fault_of_description(described):
            raise DataError(path, fault, do)
    except DataError as error:
        return inspection.add_error(error)
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


def _categories(described: dict[str, Any]) -> Categories:
    return {category["id"]: category["name"] for category in described["categories"]}


def _check_categories(found: dict[Split, Categories], inspection: Inspection) -> None:
    """Categories go by id and name: those of both splits are equal, and the published ones where there are as many."""
    do = f"Use the published annotation files. {inspection.source}"
    for split, categories in found.items():
        path = inspection.root / _annotations(split)
        if inspection.size.num_classes == len(PUBLISHED) == len(categories):
            _compare_categories(path, categories, "COCO", PUBLISHED, do, inspection)
    if len(found) == len(SPLITS):
        train, val = (inspection.root / _annotations(split) for split in SPLITS)
        _compare_categories(val, found["val"], str(train), found["train"], do, inspection)


def _compare_categories(
    where: Path, ours: Categories, other: str, theirs: Categories, do: str, inspection: Inspection
) -> None:
    for identity in sorted(ours.keys() | theirs.keys()):
        names = [f"{names[identity]!r}" if identity in names else "absent" for names in (ours, theirs)]
        if names[0] != names[1]:
            what = f"category {identity} is {names[0]}, and in {other} it is {names[1]}"
            inspection.add("categories that differ", where, what, do)


def _check_instances(split: Split, described: dict[str, Any], inspection: Inspection) -> None:
    where = f"{inspection.root / _annotations(split)}"
    do = f"Use the published annotation file. {inspection.source}"
    categories = _categories(described)
    shapes = {image["id"]: [image["height"], image["width"]] for image in described["images"]}
    if len(categories) != inspection.size.num_classes:
        what = f"{len(categories)} categories, expected {inspection.size.num_classes}"
        inspection.add("number of categories", where, what, do)
    for annotation in described["annotations"]:
        for kind, what in _faults(annotation, categories, shapes):
            inspection.add(kind, f"{where}, annotation {annotation['id']}", what, do)


def _faults(annotation: dict[str, Any], categories: Categories, shapes: dict[Any, list[int]]) -> list[tuple[str, str]]:
    """Kind and words of all that pycocotools or mmdetection would stop at, or count wrongly without a word."""
    faults: list[tuple[str, str]] = []
    category_id, image_id = annotation.get("category_id"), annotation.get("image_id")
    if not isinstance(category_id, int) or category_id not in categories:
        faults.append(("unknown categories", f"category_id {category_id}, which no category has"))
    if not (is_known := isinstance(image_id, int) and image_id in shapes):
        faults.append(("unknown images", f"image_id {image_id}, which no image has"))
    if annotation["id"] == 0:
        faults.append(("ids", "id 0, which pycocotools takes for no match, expected 1 and above"))
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


def _faults_of_mask(segmentation: Any, shape: list[int] | None) -> list[tuple[str, str]]:
    """Of run lengths, or of polygons, of which at least one has three corners: readers leave the others out."""
    if isinstance(segmentation, dict):
        return _faults_of_run_lengths(segmentation, shape)
    polygons = segmentation if isinstance(segmentation, list) else []
    if not all(isinstance(polygon, list) and _are_numbers(polygon) for polygon in polygons):
        what = "a polygon that is no list of numbers in 'segmentation', expected [[x, y, x, y, ...], ...]"
        return [("polygons", what)]
    has_area = any(len(polygon) >= 6 and len(polygon) % 2 == 0 for polygon in polygons)
    return [] if has_area else [NO_MASK]


def _faults_of_run_lengths(segmentation: dict[str, Any], shape: list[int] | None) -> list[tuple[str, str]]:
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


def _check_images(sizes: dict[Path, PixelSize], inspection: Inspection) -> None:
    paths = inspection.existing(sizes, "the annotations")
    if not inspection.decode:
        return
    for path, image in inspection.decoded(paths):
        inspection.count_picture(path, image)
        if image.size != sizes[path]:
            inspection.add_size(path, image.size, sizes[path], "the annotations say")


COCO = COCO2017(
    name="coco",
    published=Size(80, 118_287, 5_000),
    layout="the folder that holds train2017/, val2017/ and annotations/",
    marks=("train2017/*", "val2017/*", *(str(_annotations(split)) for split in SPLITS)),
    source="Get train2017.zip, val2017.zip and annotations_trainval2017.zip from cocodataset.org",
    folder="coco",
    purpose=11,
    num_rendered_classes=len(RENDERED_IDS),
    labels="instances",
)
