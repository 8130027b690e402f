"""Lists: a text file a split, which names an image and its label in each line.

A line is `path label`, `path<TAB>label` or, in CSV, `path,label`; the first line may name the columns. A path is
relative to the root. Labels are numbers from 0 without gaps, or names, which are numbered by name.
"""

import csv
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from caebench.datasets.errors import DataError, read_text
from caebench.datasets.images import IMAGE_SUFFIXES, check_listed
from caebench.datasets.own.images import Named, OwnImages
from caebench.datasets.splits import Split

SUFFIXES = (".txt", ".csv", ".tsv")
PATH_COLUMNS = ("path", "image", "img", "file", "filename", "file_name", "filepath", "image_path")
LABEL_COLUMNS = ("label", "labels", "class", "class_name", "target")
NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")
AFTER_IMAGE = re.compile(rf"(?:{'|'.join(map(re.escape, IMAGE_SUFFIXES))})[\"']?([\t, ])", re.IGNORECASE)
EXAMPLE = "expected a path and a label, as in `images/a.jpg 3`"
Line = tuple[int, list[str]]  # number, fields


class ImageLists(OwnImages):
    """A list a split, with the images anywhere below the root."""

    def listed_in(self, split: Split) -> str:
        return self.form.named(split) or f"the list of {split}"

    def found(self, root: Path, split: Split) -> list[Named] | None:
        path = self._list(root, split)
        if path is None:
            return None
        images = read_list(path, self.source)
        check_listed([(image.path, 0) for image in images], path, self.source)
        return images

    def _list(self, root: Path, split: Split) -> Path | None:
        if not root.is_dir():
            raise DataError(root, "a file, expected the folder that has the lists", self.source)
        named = self.form.named(split)
        names = [named or "", *(f"{name}{suffix}" for name in self.form.candidates(split) for suffix in SUFFIXES)]
        if path := next((root / name for name in names if name and (root / name).is_file()), None):
            return path
        if named:
            raise DataError(root / named, f"no such file, named as `{split}`", self.source)
        if split == "val":
            return None
        what = f"none of {', '.join(name for name in names if name)} is there, expected a list of training images"
        raise DataError(root, what, self.source)

    def ordered(self, names: set[str]) -> list[str]:
        return sorted(names, key=int) if are_numbers(names) else sorted(names)

    def _check_splits(self, root: Path, train: Sequence[Named], val: Sequence[Named]) -> None:
        super()._check_splits(root, train, val)
        classes = {image.class_name for image in train}
        if are_numbers(classes) and (top := max(map(int, classes))) != len(classes) - 1:
            absent = next(number for number in range(top) if str(number) not in classes)
            what = f"no training image has label {absent}, though labels go up to {top}"
            raise DataError(root, what, "Number the classes from 0 without gaps, or give them names.")


def are_numbers(labels: Iterable[str]) -> bool:
    """Whether all labels are whole numbers, so that they are not numbered by name."""
    return all(map(NUMBER.fullmatch, labels))


def read_list(path: Path, do: str) -> list[Named]:
    """The images of a list.

    Raises:
        DataError: it cannot be read, or a line has no path or no label.
    """
    lines = _lines(path, do)
    places = (0, 1)
    if lines and (header := _columns(lines[0][1])):
        places, lines = header, lines[1:]
    return [_named(path, line, places, do) for line in lines]


def _lines(path: Path, do: str) -> list[Line]:
    """The lines that say something, in fields: what separates them is what stands behind the first image's name."""
    text = read_text(path, do)
    found = AFTER_IMAGE.search(text)
    mark = "," if path.suffix.lower() == ".csv" else found[1] if found else " "
    numbered = [(number, line.strip("\r\n")) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if mark == ",":
        return [(number, _of_csv(f"{path}, line {number}", line, do)) for number, line in numbered]
    if mark == "\t":
        return [(number, [one.strip() for one in line.split("\t")]) for number, line in numbered]
    return [(number, line.strip().rsplit(maxsplit=1)) for number, line in numbered]


def _of_csv(where: str, line: str, do: str) -> list[str]:
    try:
        return [field.strip() for field in next(csv.reader([line], strict=True))]
    except csv.Error as error:
        raise DataError(where, f"not readable as CSV ({error})", do) from error


def _columns(fields: list[str]) -> tuple[int, int] | None:
    """Where path and label stand, if these are the names of columns."""
    names = [field.lower() for field in fields]
    path = next((names.index(name) for name in PATH_COLUMNS if name in names), None)
    label = next((names.index(name) for name in LABEL_COLUMNS if name in names), None)
    return None if path is None or label is None else (path, label)


def _named(listing: Path, line: Line, places: tuple[int, int], do: str) -> Named:
    number, fields = line
    found = [fields[place] if place < len(fields) else "" for place in places]
    if "" in found or (places == (0, 1) and len(fields) > 2):
        shown = ", ".join(map(repr, fields))
        what = f"{shown}: {'more than two fields' if '' not in found else 'no label' if found[0] else 'no path'}"
        raise DataError(f"{listing}, line {number}", f"{what}, {EXAMPLE}", do)
    return Named(*found)
