"""A user's data set of whole images, each with a label: what its formats share.

Classes are numbered by name, as the training images have them. Where there is no validation split, a fixed share of
each class is held out: the images whose paths have the smallest hashes, so that a new image moves few others.
"""

import hashlib
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from caebench.datasets.base import Roots
from caebench.datasets.errors import DataError
from caebench.datasets.images import ImageDataset
from caebench.datasets.inspection import Inspection
from caebench.datasets.own.layout import Layout
from caebench.datasets.splits import SPLITS, Entry, ImageSplit, Measured, Size, Split, fingerprint
from caebench.datasets.synthetic.canvas import Canvas


class Named(NamedTuple):
    """An image with the name of its class."""

    path: str  # relative to the root, in posix form
    class_name: str


@dataclass(frozen=True, eq=False, kw_only=True)
class OwnImages(ImageDataset):
    """Images of a user, whose counts are those that are found."""

    form: Layout

    @property
    def restore(self) -> str:
        """What to do about most faults of its files."""
        return f"Restore it, or remove it. {self.source}"

    @abstractmethod
    def found(self, root: Path, split: Split) -> list[Named] | None:
        """The images of a split; None: the folder has no such validation split.

        Raises:
            DataError: something is missing or wrong.
        """

    def ordered(self, names: set[str]) -> list[str]:
        """The classes in the order of their numbers: by name, where a format says nothing else."""
        return sorted(names)

    def both(self, root: Path) -> dict[Split, list[Named]]:
        """The images of both splits.

        Raises:
            DataError: something is missing or wrong.
        """
        train, val = self.found(root, "train"), self.found(root, "val")
        assert train is not None, "a training split is always there, or an error"
        if val is None:
            train, val = hold_out(train, self.form.val_share)
        self._check_splits(root, train, val)
        return {"train": train, "val": val}

    def _check_splits(self, root: Path, train: Sequence[Named], val: Sequence[Named]) -> None:
        classes = {image.class_name for image in train}
        if len(classes) < 2:
            what = f"one class ({', '.join(classes)})" if classes else "no training images"
            raise DataError(root, f"{what}, expected at least two classes of training images", self.source)
        if not val:
            raise DataError(root, "no validation images", f"Add some, or hold out a share. {self.source}")
        if unknown := sorted({image.class_name for image in val} - classes):
            what = f"class {unknown[0]!r} has validation images, and no training images"
            raise DataError(root, what, f"Add training images of it, or remove it. {self.source}")
        if twice := sorted({image.path for image in train} & {image.path for image in val}):
            more = f" and {len(twice) - 1:,} more images" if twice[1:] else ""
            what = f"{twice[0]!r}{more} in both splits, for training and for validation"
            raise DataError(root, what, f"Remove it from one of them. {self.source}")

    def entries(self, root: Path, split: Split, size: Size) -> list[Entry]:
        return self._entries(self.both(root))[split]

    def _entries(self, found: dict[Split, list[Named]]) -> dict[Split, list[Entry]]:
        """With numbers for the classes."""
        names = self.ordered({image.class_name for image in found["train"]})
        labels = {name: label for label, name in enumerate(names)}
        return {split: [(path, labels[name]) for path, name in images] for split, images in found.items()}

    def measure(self, roots: Roots) -> Measured:
        self.require(roots)
        found = self._entries(self.both(roots[self.name]))
        size = Size(1 + max(label for _, label in found["train"]), len(found["train"]), len(found["val"]))
        return Measured(size, fingerprint(mark for split in SPLITS for mark in marks(split, found[split])))

    def inspect(self, inspection: Inspection) -> None:
        """Splits, counts and files; the fingerprint tells which image is in which split."""
        try:
            found = self._entries(self.both(inspection.root))
        except DataError as error:
            inspection.add_error(error)
            return
        for split, entries in found.items():
            inspection.note(split, ImageSplit(inspection.root, entries, fingerprint(entries)))
        inspection.marks = [mark for split, entries in found.items() for mark in marks(split, entries)]
        num_classes = 1 + max(label for _, label in found["train"])
        if num_classes != inspection.size.num_classes:
            what = f"{num_classes:,} classes, expected {inspection.size.num_classes:,}"
            inspection.add("number of classes", inspection.root, what)
        self._check_files(inspection)

    def render(self, canvas: Canvas) -> None:
        raise TypeError(f"{self.name} is a user's: nothing stands in for it")


def marks(split: Split, entries: Iterable[Entry]) -> list[Entry]:
    """What the fingerprint of both splits is of."""
    return [(f"{split}/{path}", label) for path, label in entries]


def hold_out(images: Sequence[Named], share: float) -> tuple[list[Named], list[Named]]:
    """Images to train on, and a share of each class to test on: one at least, and never all."""
    of_class: defaultdict[str, list[Named]] = defaultdict(list)
    for image in images:
        of_class[image.class_name].append(image)
    held = {image for members in of_class.values() for image in _held(members, share)}
    return [image for image in images if image not in held], [image for image in images if image in held]


def _held(members: list[Named], share: float) -> list[Named]:
    number = min(len(members) - 1, max(1, round(share * len(members))))
    return sorted(members, key=lambda image: (hash_of(image.path), image.path))[:number]


def hash_of(path: str) -> str:
    """Equal on every machine; paths with one beginning get numbers that have nothing in common."""
    return hashlib.sha256(path.encode("utf8", "surrogateescape")).hexdigest()
