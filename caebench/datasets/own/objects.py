"""Annotated objects in COCO's format: an annotation file a split, with a box and a mask for each object.

Files are found under their usual names: `annotations/instances_train*.json`, `annotations/train.json`, `train.json`,
and `train/_annotations.coco.json` as Roboflow exports. Objects need masks, which Mask R-CNN learns. The data job opens
every picture once.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from caebench.datasets.base import Dataset, Roots
from caebench.datasets.errors import DataError
from caebench.datasets.inspection import Inspection
from caebench.datasets.instances import (
    MIN_SIDE,
    NO_MASK,
    ZERO_ID,
    Fault,
    categories_of,
    check_images,
    compare_categories,
    faults_of,
    read_description,
)
from caebench.datasets.own.layout import Layout
from caebench.datasets.pixels import PixelSize
from caebench.datasets.splits import SPLITS, Measured, SceneSplit, Size, Split, fingerprint
from caebench.datasets.synthetic.canvas import Canvas

ANNOTATIONS = "annotations"
SEEN = ("category_id", "bbox", "segmentation", "iscrowd")  # of an object, by training and evaluation
EXPORTED = "_annotations.coco.json"  # Roboflow's, beside the pictures
NEED_MASKS = "Mask R-CNN learns masks: give each object one, or leave detection out."


class Described(NamedTuple):
    """A split's annotation file, and the folder that its pictures' names are relative to."""

    file: Path
    content: dict[str, Any]
    images: Path

    @property
    def shapes(self) -> dict[Any, list[int]]:
        """Height and width of each picture, by its id."""
        return {image["id"]: [image["height"], image["width"]] for image in self.content["images"]}

    @property
    def num_trained(self) -> int:
        """The pictures with an object that are large enough: training leaves the others out."""
        annotated = {annotation.get("image_id") for annotation in self.content["annotations"]}
        return sum(identity in annotated and min(shape) >= MIN_SIDE for identity, shape in self.shapes.items())

    def marks(self, split: Split) -> Iterator[tuple[str, int | str]]:
        """What the fingerprint is of: the classes' names, and each picture's size and objects."""
        yield f"{split}:categories", _digest(sorted(categories_of(self.content).items()))
        of_image: dict[Any, list[str]] = {}
        for one in self.content["annotations"]:
            of_image.setdefault(one.get("image_id"), []).append(_digest([one.get(name) for name in SEEN]))
        for image in self.content["images"]:
            objects = sorted(of_image.get(image["id"], ()))
            yield f"{split}/{image['file_name']}", _digest([image["height"], image["width"], objects])


@dataclass(frozen=True, eq=False, kw_only=True)
class OwnObjects(Dataset):
    """Pictures with objects of a user, whose counts are those that are found."""

    form: Layout

    @property
    def restore(self) -> str:
        """What to do about most faults of its files."""
        return f"Restore it, or remove its image from the annotation file. {self.source}"

    @property
    def is_decoded_first(self) -> bool:
        return True

    def described(self, root: Path, split: Split) -> Described:
        """A split's annotation file, read.

        Raises:
            DataError: it is missing or unusable, or has no images or categories.
        """
        file, names = self._file(root, split)
        content = read_description(file, self.source)
        for part in ("images", "categories", "annotations"):
            if not content[part]:
                raise DataError(file, f"no {part}, expected some of `{split}`", self.source)
        return Described(file, content, self._images(root, file, names, content["images"][0]["file_name"]))

    def _file(self, root: Path, split: Split) -> tuple[Path, list[str]]:
        """The annotation file, and the names that its pictures' folder may have."""
        if not root.is_dir():
            raise DataError(root, "a file, expected a folder", self.source)
        if (named := self.form.named(split)) and (root / named).is_file():
            return root / named, [split, *self._years(root / named)]
        for name in self.form.candidates(split):
            found = sorted((root / ANNOTATIONS).glob(f"instances_{name}*.json"))
            if len(found) > 1:
                what = f"{len(found)} annotation files of `{split}`: {', '.join(one.name for one in found)}"
                raise DataError(root / ANNOTATIONS, what, f"Name one of them as `{split}` in the site file.")
            places = (f"{ANNOTATIONS}/{name}.json", f"{name}/{EXPORTED}", f"{name}.json")
            if file := next((one for one in (*found, *(root / place for place in places)) if one.is_file()), None):
                return file, [name, *self._years(file)]
        names = self.form.candidates(split)
        wanted = ", ".join(f"{ANNOTATIONS}/instances_{name}*.json" for name in names)
        what = f"no annotation file of `{split}`, expected one as {wanted}, {names[0]}/{EXPORTED}"
        share = "No share of the training file is held out. " if split == "val" else ""
        raise DataError(root, what, f"{share}{self.source}")

    @staticmethod
    def _years(file: Path) -> list[str]:
        return [file.stem.removeprefix("instances_")]

    def _images(self, root: Path, file: Path, names: list[str], first: str) -> Path:
        """The folder in which the first picture lies."""
        own = [root / part for name in names for part in (name, f"images/{name}")]
        folders = list(dict.fromkeys([*own, file.parent, root / "images", root]))
        if (found := next((folder for folder in folders if (folder / first).exists()), None)) is None:
            what = f"its first image {first!r} is in none of {', '.join(map(str, folders))}"
            raise DataError(file, what, f"Put the images into one of these folders. {self.source}")
        return found

    def measure(self, roots: Roots) -> Measured:
        self.require(roots)
        found: dict[Split, Described] = {split: self.described(roots[self.name], split) for split in SPLITS}
        self._check_masks(found)
        inspection = Inspection(self, roots, Size(0, 0, 0), decode=False)
        self._check(found, inspection)
        if problems := inspection.problems:
            first, rest = problems[0], len(problems) - 1
            more = f"`caebench data check {self.name}` lists {rest} more. " if rest else ""
            raise DataError(first.where, first.what, f"{more}{first.do}")
        size = Size(len(categories_of(found["train"].content)), found["train"].num_trained, _num_images(found["val"]))
        if not size.train:
            what = f"no training image with an object and sides of at least {MIN_SIDE} pixels"
            raise DataError(found["train"].file, what, self.source)
        return Measured(size, fingerprint(mark for split in SPLITS for mark in found[split].marks(split)))

    def _check_masks(self, found: dict[Split, Described]) -> None:
        for one in found.values():
            objects = one.content["annotations"]
            if lacking := sum(NO_MASK in faults_of(annotation, {}, {}) for annotation in objects):
                what = f"{lacking:,} of {len(objects):,} objects have no mask (polygons or run lengths)"
                raise DataError(one.file, what, NEED_MASKS)

    def _check(self, found: dict[Split, Described], inspection: Inspection) -> None:
        """Each object, and whether both files number the categories alike."""
        for one in found.values():
            categories, shapes = categories_of(one.content), one.shapes
            for annotation in one.content["annotations"]:
                for kind, what in _faults(annotation, categories, shapes):
                    inspection.add(kind, f"{one.file}, annotation {annotation['id']}", what, self.source)
        if len(found) == len(SPLITS):
            train, val = found["train"], found["val"]
            ours, theirs = categories_of(val.content), categories_of(train.content)
            do = f"Number the categories of both files alike. {self.source}"
            compare_categories(val.file, ours, str(train.file), theirs, do, inspection)

    def read(self, roots: Roots, split: Split, size: Size) -> SceneSplit:
        root = roots[self.name]
        one = self.described(root, split)
        images, labels = (path.relative_to(root).as_posix() for path in (one.images, one.file))
        categories = categories_of(one.content)
        names = tuple(categories[identity] for identity in sorted(categories))
        return SceneSplit(root, images, labels, names, fingerprint(one.marks(split)))

    def inspect(self, inspection: Inspection) -> None:
        """The annotations, the counts and the pictures."""
        found: dict[Split, Described] = {}
        for split in SPLITS:
            try:
                found[split] = self.described(inspection.root, split)
            except DataError as error:
                inspection.add_error(error)
        self._check(found, inspection)
        sizes: dict[Path, PixelSize] = {}
        for split, one in found.items():
            inspection.compare_count(split, one.num_trained if split == "train" else _num_images(one))
            inspection.marks += one.marks(split)
            for image in one.content["images"]:
                sizes[one.images / image["file_name"]] = (image["width"], image["height"])
        check_images(sizes, inspection)

    def render(self, canvas: Canvas) -> None:
        raise TypeError(f"{self.name} is a user's: nothing stands in for it")


def _digest(value: Any) -> str:
    """Of plain values, in any order of their tables' fields."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _num_images(one: Described) -> int:
    return len(one.content["images"])


def _faults(annotation: dict[str, Any], categories: dict[int, str], shapes: dict[Any, list[int]]) -> list[Fault]:
    """What stops a training; objects that are counted from 0, as by Roboflow, are counted from 1 when they are read."""
    return [fault for fault in faults_of(annotation, categories, shapes) if fault != ZERO_ID]
