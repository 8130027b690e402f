"""ImageNet read otherwise: ImageNet-V2's images, ReaL's labels, SimCLR's lists of 1 % and 10 % of the training images.

Nothing here trains or validates by itself: the k-NN job of ImageNet adds a number for each that its site names.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from caebench.data.errors import DataError
from caebench.data.listing import Entry, images_below

NUM_CLASSES, NUM_VAL = 1000, 50_000
NUM_TRAIN = 1_281_167


class Subset(NamedTuple):
    """A list of SimCLR's."""

    file: str
    num_images: int  # that it names, of all of ImageNet


SUBSETS = {"1pct": Subset("1percent.txt", 12_811), "10pct": Subset("10percent.txt", 128_116)}  # by the metric's ending
GET_V2 = "Get imagenetv2-matched-frequency.tar.gz (modestyachts/ImageNetV2)"
GET_REAL = "Get real.json (google-research/reassessed-imagenet)"
GET_SUBSETS = "Get the list from google-research/simclr, imagenet_subsets"


def list_v2(root: Path) -> list[Entry]:
    """ImageNet-V2, matched frequency (arXiv 1902.10811): a folder a class, named by its number.

    Sorted as text, as ImageFolder does, `10` would come before `2` and most labels would be wrong.

    Raises:
        DataError: the folder is missing, or holds other than a thousand numbered folders with images.
    """
    if not root.is_dir():
        raise DataError(
            root, "no such folder, wanted as the root of ImageNet-V2", f"{GET_V2}, or correct the site file."
        )
    names = {path.name for path in root.iterdir() if path.is_dir()}
    if wrong := sorted(names ^ {str(number) for number in range(NUM_CLASSES)}):
        what = f"expected the folders 0 to {NUM_CLASSES - 1}: {len(wrong)} too many or missing, such as {wrong[0]!r}"
        raise DataError(root, what, f"{GET_V2}, and name the folder that holds these.")
    entries: list[Entry] = []
    for label in range(NUM_CLASSES):
        found = images_below(root / str(label))
        if not found:
            raise DataError(root / str(label), "a class folder without images", f"{GET_V2} again.")
        entries += [(path.relative_to(root).as_posix(), label) for path in found]
    return entries


def read_real(path: Path, entries: Sequence[Entry]) -> list[tuple[int, ...]]:
    """ReaL's labels (arXiv 2006.07159) of validation images, by the number in a file's name; some images have none.

    Raises:
        DataError: the file is not a list of 50,000 lists of class numbers, or an image's name has no number.
    """
    try:
        labels = json.loads(path.read_text(encoding="utf8"))
    except (OSError, ValueError) as error:
        raise DataError(path, f"cannot be read as JSON ({error})", f"{GET_REAL}.") from error
    if not (isinstance(labels, list) and len(labels) == NUM_VAL and all(map(_is_labels, labels))):
        raise DataError(path, f"expected a list of {NUM_VAL:,} lists of class numbers", f"{GET_REAL}.")
    return [tuple(labels[_number(name) - 1]) for name, _ in entries]


def _is_labels(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(label, int) and 0 <= label < NUM_CLASSES for label in value)


def _number(name: str) -> int:
    found = re.search(r"_(\d{8})\.\w+$", name)
    if found is None or not 1 <= int(found[1]) <= NUM_VAL:
        do = "ReaL's labels go by ILSVRC2012_val_00000001.JPEG and so on: restore the names of the archive."
        raise DataError(name, f"no number from 1 to {NUM_VAL:,} in this validation image's name", do)
    return int(found[1])


def read_subset(path: Path, entries: Sequence[Entry], subset: Subset) -> list[int]:
    """Places in the training list of the files that a list of SimCLR's names (arXiv 2002.05709), one a line.

    Raises:
        DataError: the list is missing, empty or cut, names a file twice, or one that is not there.
    """
    try:
        lines = path.read_text(encoding="utf8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(path, f"cannot be read ({error})", f"{GET_SUBSETS}.") from error
    places = {name.rpartition("/")[2]: place for place, (name, _) in enumerate(entries)}
    unknown = [line for line in lines if line not in places]
    if unknown:
        what = f"names {unknown[0]!r} and {len(unknown) - 1} more that are no training images"
        raise DataError(path, what, "Restore the training images, or the list.")
    if not lines or len(set(lines)) < len(lines):
        raise DataError(path, "an empty list" if not lines else "names an image twice", f"{GET_SUBSETS} again.")
    if len(entries) == NUM_TRAIN and len(lines) != subset.num_images:
        raise DataError(path, f"names {len(lines):,} images, expected {subset.num_images:,}", f"{GET_SUBSETS} again.")
    return [places[line] for line in lines]
