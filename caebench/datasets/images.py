"""Data sets of whole images, each with a label: what their readers and checkers share.

No image is opened by a reader: training builds its data from these lists, in the order and with the labels of
torchvision, and the checks and the fingerprint read the same ones.
"""

import os
import posixpath
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from caebench.datasets.base import Dataset, Roots
from caebench.datasets.errors import DataError
from caebench.datasets.inspection import Inspection, is_hidden
from caebench.datasets.splits import SPLITS, Entry, ImageSplit, Measured, Size, Split, fingerprint

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")  # torchvision's
LIST_NAMES: dict[Split, str] = {"train": "train", "val": "test"}  # some publishers call it a test set
Lists = dict[Split, list[Entry]]


class ImageDataset(Dataset):
    """A data set that labels each image as a whole; a class has a folder."""

    @abstractmethod
    def entries(self, root: Path, split: Split, size: Size) -> list[Entry]:
        """Every image of a split with its label.

        Raises:
            DataError: something is missing or wrong.
        """

    @abstractmethod
    def listed_in(self, split: Split) -> str:
        """The file that lists a split's images, relative to the root; where none does, the folder that holds them."""

    def read(self, roots: Roots, split: Split, size: Size) -> ImageSplit:
        root = roots[self.name]
        if not (entries := self.entries(root, split, size)):
            raise DataError(root / self.listed_in(split), "an empty list", self.source)
        return ImageSplit(root, entries, fingerprint(entries))

    def measure(self, roots: Roots) -> Measured:
        assert self.published is not None, "subsets are of published data sets"
        self.require(roots)
        found = {split: self.entries(roots[self.name], split, self.published) for split in SPLITS}
        labels = {label for entries in found.values() for _, label in entries}
        if labels != set(range(len(labels))):
            lists = " and ".join(self.listed_in(split) for split in SPLITS)
            what = f"{len(labels):,} classes with labels up to {max(labels):,}, expected 0 to {len(labels) - 1:,}"
            raise DataError(f"{roots[self.name]}, {lists}", what, "Number the classes of a subset without gaps.")
        size = Size(len(labels), len(found["train"]), len(found["val"]))
        return Measured(size, fingerprint(entry for entries in found.values() for entry in entries))

    def inspect(self, inspection: Inspection) -> None:
        """Classes, labels and files too."""
        super().inspect(inspection)
        if inspection.lists:
            self._check_classes(inspection)
            self._check_files(inspection)
        listed = [{path for path, _ in entries} for entries in inspection.lists.values()]
        for path in sorted(listed[0] & listed[1]) if len(listed) == 2 else ():
            inspection.add("images in both lists", inspection.root / path, "listed for training and for testing")

    def _check_classes(self, inspection: Inspection) -> None:
        """As many classes as published, the same in both splits, each with one label."""
        of_split = {split: {_class_folder(path) for path, _ in listed} for split, listed in inspection.lists.items()}
        together = set[str]().union(*of_split.values())
        if len(together) != inspection.size.num_classes:
            what = f"{len(together):,} classes, expected {inspection.size.num_classes:,}"
            inspection.add("number of classes", inspection.root, what)
        lacking = [(split, absent) for split, classes in of_split.items() for absent in sorted(together - classes)]
        for split, absent in lacking:
            what = f"no class {absent!r} in {split}, though the other split has it"
            inspection.add("classes of one split", inspection.root, what)
        if not lacking:  # or every later label of a folder-sorted split would be off by one
            self._check_labels(inspection)

    def _check_labels(self, inspection: Inspection) -> None:
        num_classes = inspection.size.num_classes
        labels: dict[str, int] = {}
        classes: dict[int, str] = {}
        for split, entries in inspection.lists.items():
            where = inspection.root / self.listed_in(split)
            for path, label in entries:
                name = _class_folder(path)
                usual, owner = labels.setdefault(name, label), classes.setdefault(label, name)
                if not 0 <= label < num_classes:
                    what = f"label {label} of {path}, expected 0 to {num_classes - 1}"
                    inspection.add("labels out of range", where, what)
                elif label != usual:
                    what = f"label {label} of {path}, whose class has label {usual} elsewhere"
                    inspection.add("contradictory labels", where, what)
                elif owner != name:
                    inspection.add("shared labels", where, f"label {label} of {path}, which class {owner!r} has, too")

    def _check_files(self, inspection: Inspection) -> None:
        paths: list[Path] = []
        for split, entries in inspection.lists.items():
            listed_in = self.listed_in(split)
            paths += inspection.existing((inspection.root / path for path, _ in entries), listed_in)
            if (folder := inspection.root / listed_in).is_dir():
                inspection.find_hidden(folder)
        if inspection.decode:
            for path, image in inspection.decoded(paths):
                inspection.count_picture(path, image)


def _class_folder(path: str) -> str:
    return path.rsplit("/", 2)[-2]


def in_folders(root: Path, folders: Iterable[Path], do: str) -> list[Entry]:
    """Every image of folders that are a class each, in the order of the labels.

    Raises:
        DataError: a folder has none.
    """
    entries: list[Entry] = []
    for label, folder in enumerate(folders):
        if not (found := images_below(folder)):
            raise DataError(folder, "a class folder without images", do)
        entries += [(path.relative_to(root).as_posix(), label) for path in found]
    return entries


def check_listed(entries: list[Entry], listing: Path, do: str) -> list[Entry]:
    """The entries of a list: each image once, under one spelling.

    Raises:
        DataError: an image is listed twice, or its path has parts that say nothing (`./a.jpg`, `a//b.jpg`).
    """
    for path, _ in entries:
        if path != (plain := posixpath.normpath(path)) or path.startswith(("/", "..")):
            what = f"names {path!r}, expected a path below the root such as {plain.lstrip('/.')!r}"
            raise DataError(listing, what, do)
    counts = Counter(path for path, _ in entries)
    if twice := [path for path, count in counts.items() if count > 1]:
        more = f" and {len(twice) - 1:,} more images" if twice[1:] else ""
        raise DataError(listing, f"names {twice[0]!r}{more} twice", do)
    return entries


def images_below(folder: Path) -> list[Path]:
    """Every image in a folder and in those below it, by name; a folder of such a name too, which a check then finds."""
    return [
        Path(where, name)
        for where, folders, names in sorted(_walk(folder))
        if not any(map(is_hidden, Path(where).relative_to(folder).parts))
        for name in sorted([*names, *folders])
        if is_image(name)
    ]


def _walk(folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """`os.walk` that follows links, but none that leads back to a folder above it."""
    for where, folders, names in os.walk(folder, followlinks=True):
        linked = [name for name in folders if os.path.islink(os.path.join(where, name))]
        above = os.path.realpath(where) if linked else ""
        for name in linked:
            if f"{above}/".startswith(f"{os.path.realpath(os.path.join(where, name))}/"):
                folders.remove(name)
        yield where, folders, names


def is_image(name: str) -> bool:
    """Whether torchvision would take a file of this name for an image, and no system left it there."""
    return name.lower().endswith(IMAGE_SUFFIXES) and not is_hidden(name)
