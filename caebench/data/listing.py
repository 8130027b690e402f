"""List the images and labels of a classification set, in the order and with the labels of torchvision.

No image is opened here, and torch is not needed: the training code builds its data sets from these lists, the checks
and the fingerprint read the same ones.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from caebench.config.data import EmbeddedName, Split
from caebench.data.errors import DataError
from caebench.data.facts import PUBLISHED

Entry = tuple[str, int]  # path relative to the root, in posix form; label

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")  # torchvision's
LIST_NAMES: dict[Split, str] = {"train": "train", "val": "test"}  # Food-101 and DomainNet call it a test set
SORT_VAL = (
    "Move each image into val/<wnid>/: ILSVRC2012_validation_ground_truth.txt and meta.mat of "
    "ILSVRC2012_devkit_t12.tar.gz name its class (torchvision.datasets.ImageNet does it from the two archives)"
)


def list_split(name: EmbeddedName, root: Path, split: Split) -> list[Entry]:
    """Every image of a split with its label; `root` is the folder that the site file names for this set."""
    if not root.is_dir():
        raise DataError(
            root, f"no such folder, wanted as the root of {name}", f"{source(name)}, or correct the site file"
        )
    if name in ("imagenet1k", "broad"):
        return _list_folders(root, split)
    return _list_food101(root, split) if name == "food101" else _list_domain(name, root, split)


def fingerprint(entries: Iterable[tuple[str, int | str]]) -> str:
    """Which files with which labels: equal for equal lists, whatever their order and wherever they lie."""
    digest = hashlib.sha256()
    for line in sorted(f"{path} {label}\n" for path, label in entries):
        digest.update(line.encode("utf8", "surrogateescape"))
    return digest.hexdigest()[:16]


def source(name: str) -> str:
    """The sentence that says where a data set comes from."""
    return PUBLISHED[name].source if name in PUBLISHED else "Delete the job that renders it and run the suite again"


def is_image(name: str) -> bool:
    """Whether torchvision would take a file of this name for an image."""
    return name.lower().endswith(IMAGE_SUFFIXES)


def _list_folders(root: Path, split: Split) -> list[Entry]:
    """ImageFolder's order: classes by name, then folders and files by name."""
    folder = root / split
    if not folder.is_dir():
        raise DataError(folder, f"no {split}/ folder, where the class folders should be", source("imagenet1k"))
    classes = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    if not classes:
        raise _no_classes(folder, split)
    entries: list[Entry] = []
    for label, name in enumerate(classes):
        found = images_below(folder / name)
        if not found:
            raise DataError(folder / name, "a class folder without images", f"Unpack {name}.tar again, or remove it")
        entries += [(path.relative_to(root).as_posix(), label) for path in found]
    return entries


def images_below(folder: Path) -> list[Path]:
    """Every image in a folder and in those below it, by name."""
    return [
        Path(where, name)
        for where, _, names in sorted(os.walk(folder, followlinks=True))
        for name in sorted(names)
        if is_image(name)
    ]


def _no_classes(folder: Path, split: Split) -> DataError:
    """Say which of the usual half-way states an unsorted folder is in."""
    names = [entry.name for entry in os.scandir(folder)]
    num_images, num_archives = sum(map(is_image, names)), sum(name.endswith(".tar") for name in names)
    if num_images:
        do = SORT_VAL if split == "val" else "Unpack each class's archive into a folder of its own"
        return DataError(folder, f"{num_images:,} images lie here unsorted, expected one folder a class", do)
    if num_archives:
        do = "Unpack each nXXXXXXXX.tar into a folder of that name"
        return DataError(folder, f"{num_archives:,} archives, expected one folder a class", do)
    return DataError(folder, "an empty folder, expected one folder a class", source("imagenet1k"))


def _list_food101(root: Path, split: Split) -> list[Entry]:
    """Food101's order: as the meta file lists them; labels by class name."""
    if not (root / "food-101").is_dir():
        if (root / "meta").is_dir():
            raise DataError(
                root, "this is food-101 itself", f"Name the folder above it, {root.parent}, as torchvision does"
            )
        raise DataError(root / "food-101", "no such folder", source("food101"))
    meta = root / "food-101" / "meta" / f"{LIST_NAMES[split]}.json"
    listed = _read_food101_list(meta)
    labels = {name: label for label, name in enumerate(sorted(listed))}
    entries = [(f"food-101/images/{path}.jpg", labels[name]) for name, paths in listed.items() for path in paths]
    if not entries:
        raise DataError(meta, "lists no images", source("food101"))
    return entries


def _read_food101_list(meta: Path) -> dict[str, list[str]]:
    if not meta.is_file():
        raise DataError(meta, f"no such file: it lists the {meta.stem} images", source("food101"))
    try:
        listed = json.loads(meta.read_text(encoding="utf8"))
    except ValueError as error:
        raise DataError(meta, f"not readable as JSON ({error})", source("food101")) from error
    if not isinstance(listed, dict) or not all(isinstance(paths, list) for paths in listed.values()):
        raise DataError(meta, "expected a JSON object of class name: list of images", source("food101"))
    return listed


def _list_domain(name: EmbeddedName, root: Path, split: Split) -> list[Entry]:
    """DomainNet's order: as its list has them, one `domain/class/file label` a line."""
    listing = root / f"{name}_{LIST_NAMES[split]}.txt"
    if not listing.is_file():
        raise DataError(listing, f"no such file: it lists the {split} images of {name}", source(name))
    entries: list[Entry] = []
    for number, line in enumerate(listing.read_text(encoding="utf8").splitlines(), start=1):
        path, _, label = line.strip().rpartition(" ")
        if path.count("/") < 2 or not label.isdecimal():
            what = f"{line!r}, expected '{name}/<class>/<file> <label>'"
            raise DataError(f"{listing}, line {number}", what, source(name))
        entries.append((path, int(label)))
    if not entries:
        raise DataError(listing, "an empty list", source(name))
    return entries
