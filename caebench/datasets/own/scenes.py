"""Pictures with masks in folders: a mask a picture, of the same name, whose values are the classes' numbers from 0.

255 is ignored. `classes.txt` at the root names the classes, one a line; without it the site file gives their number, so
that no mask is opened when a suite is planned. The data job opens every picture and mask once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from caebench.datasets.base import Dataset, Roots
from caebench.datasets.errors import DataError, read_text
from caebench.datasets.images import images_below
from caebench.datasets.inspection import Decoded, Inspection
from caebench.datasets.own.images import Named, hold_out
from caebench.datasets.own.layout import Layout
from caebench.datasets.pixels import IGNORED, LABEL_MODES, PixelSize, fault_of_label_map
from caebench.datasets.splits import SPLITS, Measured, SceneSplit, Size, Split, fingerprint
from caebench.datasets.synthetic.canvas import Canvas

CLASSES = "classes.txt"
IMAGES = "images"
MASKS = ("masks", "annotations", "labels")  # names of the masks' folder, the first that is there
INEXACT = (".jpg", ".jpeg", ".webp")  # pictures whose values may change when they are written
Pair = tuple[str, str]  # picture and mask, relative to the root


class Folders(NamedTuple):
    """Where the pictures and the masks of a split are."""

    images: Path
    masks: Path


@dataclass(frozen=True, eq=False, kw_only=True)
class OwnScenes(Dataset):
    """Pictures and masks of a user, whose counts are those that are found."""

    form: Layout

    @property
    def restore(self) -> str:
        """What to do about most faults of its files."""
        return f"Restore it, or remove picture and mask. {self.source}"

    @property
    def is_decoded_first(self) -> bool:
        return True

    def both(self, root: Path) -> dict[Split, list[Pair]]:
        """The pictures with their masks, of both splits.

        Raises:
            DataError: something is missing or wrong.
        """
        if not root.is_dir():
            raise DataError(root, "a file, expected a folder", self.source)
        folders = {split: self._folders(root, split) for split in SPLITS}
        train = self._pairs(root, folders["train"] or self._undivided(root, folders["val"]))
        if folders["val"] is None:
            train, val = (self._held(train, part) for part in (0, 1))
        else:
            val = self._pairs(root, folders["val"])
        for name, pairs, least in (("training", train, 2), ("validation", val, 1)):
            if len(pairs) < least:
                raise DataError(root, f"{len(pairs)} {name} pictures, expected at least {least}", self.source)
        return {"train": train, "val": val}

    def _held(self, pairs: list[Pair], part: int) -> list[Pair]:
        mask_of = dict(pairs)
        found = hold_out([Named(image, "") for image in mask_of], self.form.val_share)[part]
        return [(image.path, mask_of[image.path]) for image in found]

    def _folders(self, root: Path, split: Split) -> Folders | None:
        """The folders of a split, the kind's above the split's or below it; None: no folder is called after it."""
        for name in self.form.candidates(split):
            for images, masks in _layouts(root, name):
                if images.is_dir():
                    return Folders(images, self._masks(images, masks))
        if named := self.form.named(split):
            what = f"no such folder, named as `{split}`, nor {root / named / IMAGES}"
            raise DataError(root / IMAGES / named, what, self.source)
        return None

    def _undivided(self, root: Path, val: Folders | None) -> Folders:
        images = root / IMAGES
        if val is not None or not images.is_dir():
            names = self.form.candidates("train")
            wanted = ", ".join(part for name in names for part in (f"{IMAGES}/{name}", f"{name}/{IMAGES}"))
            beside = f"the validation pictures {val.images}, and " if val is not None else ""
            raise DataError(root, f"{beside}none of {wanted}, expected a folder of training pictures", self.source)
        return Folders(images, self._masks(images, [root / name for name in MASKS]))

    def _masks(self, images: Path, candidates: list[Path]) -> Path:
        if (found := next((one for one in candidates if one.is_dir()), None)) is None:
            what = f"pictures, and none of {', '.join(map(str, candidates))}, expected a folder of their masks"
            raise DataError(images, what, self.source)
        return found

    def _pairs(self, root: Path, folders: Folders) -> list[Pair]:
        images, masks = (_by_name(folder, self.source) for folder in folders)
        for name in sorted(images.keys() ^ masks.keys()):
            has, folder = (images[name], folders.masks) if name in images else (masks[name], folders.images)
            lacking = "mask" if name in images else "picture"
            number = len(images.keys() ^ masks.keys())
            more = f" ({number:,} such files)" if number > 1 else ""
            raise DataError(has, f"no {lacking} of this name in {folder}{more}", self.restore)
        if inexact := next((path for path in masks.values() if path.suffix.lower() in INEXACT), None):
            what = f"a mask as {inexact.suffix}, which does not keep values exactly, expected PNG"
            raise DataError(inexact, what, "Write the masks again as PNG, from their source.")
        pairs = ((images[name].relative_to(root), masks[name].relative_to(root)) for name in images)
        return [(image.as_posix(), mask.as_posix()) for image, mask in pairs]

    def classes(self, root: Path) -> tuple[str, ...]:
        """Their names, or numbers where nothing names them.

        Raises:
            DataError: neither `classes.txt` nor the site file says how many there are, or they differ.
        """
        path, number = root / CLASSES, self.form.num_classes
        field = f"[data.{self.name}] num_classes in the site file"
        if not path.is_file():
            if number is None:
                what = f"no {CLASSES} and no num_classes, expected one of them: no mask is opened to plan a suite"
                raise DataError(root, what, f"Write {path}, one name a line, or set {field}.")
            names = tuple(map(str, range(number)))
        else:
            names = tuple(line.strip() for line in read_text(path, self.source).splitlines() if line.strip())
            if number not in (None, len(names)):
                raise DataError(path, f"{len(names)} classes, and num_classes is {number}", f"Correct it, or {field}.")
        if not 2 <= len(names) <= IGNORED:
            where, found = (path, "names") if path.is_file() else (root, "num_classes gives")
            raise DataError(where, f"{found} {len(names)} classes, expected 2 to {IGNORED}", f"Correct it, or {field}.")
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise DataError(path, f"class {twice!r} twice", "Give each class a name of its own.")
        return names

    def measure(self, roots: Roots) -> Measured:
        self.require(roots)
        root = roots[self.name]
        classes, found = self.classes(root), self.both(root)
        size = Size(len(classes), len(found["train"]), len(found["val"]))
        return Measured(size, fingerprint(mark for split in SPLITS for mark in _marks(split, found[split])))

    def read(self, roots: Roots, split: Split, size: Size) -> SceneSplit:
        root = roots[self.name]
        pairs = self.both(root)[split]
        images, labels = (str(Path(path).parent) for path in pairs[0])
        named = fingerprint(_marks(split, pairs))
        return SceneSplit(root, images, labels, self.classes(root), named, tuple(pairs), zero_is_other=False)

    def inspect(self, inspection: Inspection) -> None:
        """Folders, counts and classes; with `decode`, also sizes and values of the masks."""
        root = inspection.root
        try:
            classes, found = self.classes(root), self.both(root)
        except DataError as error:
            inspection.add_error(error)
            return
        if len(classes) != inspection.size.num_classes:
            inspection.add("classes", root, f"{len(classes)} classes, expected {inspection.size.num_classes}")
        for split, pairs in found.items():
            inspection.compare_count(split, len(pairs))
            inspection.marks += _marks(split, pairs)
        pairs = [(root / image, root / mask) for split in SPLITS for image, mask in found[split]]
        sound = set(inspection.existing((path for pair in pairs for path in pair), "its folder"))
        if inspection.decode:
            self._check_masks([pair for pair in pairs if sound.issuperset(pair)], inspection)

    def _check_masks(self, pairs: list[tuple[Path, Path]], inspection: Inspection) -> None:
        sizes: dict[Path, PixelSize] = {}
        image_of = {mask: image for image, mask in pairs}
        for path, found in inspection.decoded([path for pair in pairs for path in pair]):
            if path not in image_of:
                inspection.count_picture(path, found)
                sizes[path] = found.size
                continue
            _check_mask(path, found, inspection)
            size = sizes.pop(image_of[path], found.size)
            if size != found.size:
                inspection.add_size(image_of[path], size, found.size, f"its mask {path} has")

    def render(self, canvas: Canvas) -> None:
        raise TypeError(f"{self.name} is a user's: nothing stands in for it")


def _check_mask(path: Path, found: Decoded, inspection: Inspection) -> None:
    classes = inspection.size.num_classes
    if fault := fault_of_label_map(found.mode, found.top_label, classes, zero_is_other=False):
        kind = "labels out of range" if found.mode in LABEL_MODES else "masks of another kind"
        do = "Correct the mask, or name all classes" if found.mode in LABEL_MODES else "Write the mask again as PNG"
        inspection.add(kind, path, fault, f"{do}. {inspection.source}")


def _layouts(root: Path, name: str) -> Iterator[tuple[Path, list[Path]]]:
    """The folders that a split's pictures and masks may have."""
    yield root / IMAGES / name, [root / masks / name for masks in MASKS]
    yield root / name / IMAGES, [root / name / masks for masks in MASKS]


def _by_name(folder: Path, do: str) -> dict[str, Path]:
    """The images below a folder, by their paths without the ending.

    Raises:
        DataError: two have one name.
    """
    found: dict[str, Path] = {}
    for path in images_below(folder):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if (other := found.setdefault(name, path)) != path:
            raise DataError(path, f"of the same name as {other.name}", f"Remove one of them. {do}")
    return found


def _marks(split: Split, pairs: list[Pair]) -> list[tuple[str, int | str]]:
    """What the fingerprint is of."""
    return [(f"{split}/{image}", mask) for image, mask in pairs]
