"""A folder of parquet files, as Hugging Face's `datasets` lays out a set of labelled images.

Planning reads labels, metadata and file sizes, never an image. The fingerprint covers each row's file, number and
label, and each file's size. The data job unpacks the encoded images unchanged, and training reads those. Reading needs
pyarrow, which the extra `parquet` installs.
"""

import importlib
import io
import json
import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from caebench.datasets.base import Roots
from caebench.datasets.errors import DataError
from caebench.datasets.images import images_below
from caebench.datasets.inspection import Inspection, Progress, decode_image
from caebench.datasets.own.images import Named, marks
from caebench.datasets.own.lists import ImageLists
from caebench.datasets.splits import SPLITS, ImageSplit, Measured, Size, Split, fingerprint

SHARD = re.compile(r"(?P<name>.+?)(?:-(?P<number>\d+)-of-(?P<total>\d+))?(?:-[0-9a-f]{16})?\.parquet")
IMAGES = ("image", "img")  # names of columns, the first that is there
LABELS = ("label", "labels", "fine_label")
ROWS = 64  # images that are read at once
KINDS = ((b"\xff\xd8", ".jpg"), (b"\x89PNG", ".png"), (b"BM", ".bmp"), (b"II*\0", ".tif"), (b"MM\0*", ".tif"))
INSTALL = "Reading it needs pyarrow: `pip install 'caebench[parquet]'`, or `pip install pyarrow`"


class Image(NamedTuple):
    """An encoded image."""

    row: int
    content: bytes


class ParquetFolder(ImageLists):
    """Labels are numbers, whose names stand in the metadata, or names."""

    @property
    def is_packed(self) -> bool:
        return True

    def listed_in(self, split: Split) -> str:
        return self.form.named(split) or split

    def found(self, root: Path, split: Split) -> list[Named] | None:
        files = self._files(root, split)
        return None if files is None else [image for path in files for image in self._labelled(root, path)]

    def _files(self, root: Path, split: Split) -> list[Path] | None:
        """The files of a split, called after it or in a folder that is."""
        everything = [path for path in sorted(root.rglob("*.parquet")) if not path.name.startswith(".")]
        for name in self.form.candidates(split):
            found = [path for path in everything if name in (_split_of(path.name), path.parent.name)]
            if found:
                self._check_files_of(name, found)
                return found
        if split == "val" and self.form.val is None:
            return None
        wanted = ", ".join(f"{name}-*.parquet" for name in self.form.candidates(split))
        raise DataError(root, f"no parquet file of `{split}`, expected {wanted}", self.source)

    def _check_files_of(self, name: str, files: list[Path]) -> None:
        folders = sorted({str(path.parent) for path in files})
        if len(folders) > 1:
            what = f"files of `{name}` in {len(folders)} folders, such as {folders[0]} and {folders[1]}"
            raise DataError(files[0], what, "Name one of these folders as the root.")
        shards = [match for path in files if (match := SHARD.fullmatch(path.name)) and match["total"]]
        totals, numbers = {int(one["total"]) for one in shards}, {int(one["number"]) for one in shards}
        if shards and (len(totals) > 1 or numbers != set(range(max(totals)))):
            what = f"{len(files)} files of `{name}`, expected {max(totals)} by their names"
            raise DataError(files[0].parent, what, "Download the others, or the set again.")

    def _labelled(self, root: Path, path: Path) -> list[Named]:
        """The rows of a file, each with its label."""
        with _reading(path, self.source) as file:
            labels = _column(path, file, LABELS)
            _column(path, file, IMAGES)
            known = _class_names(file, labels)
            values: list[Any] = file.read(columns=[labels]).column(labels).to_pylist()
        shown = path.relative_to(root).as_posix()
        for row, value in enumerate(values):
            if value is None or value == "" or (isinstance(value, int) and not 0 <= value < (known or value + 1)):
                what = f"label {value!r}, expected {f'0 to {known - 1}' if known else 'a number from 0 or a name'}"
                raise DataError(f"{path}, row {row}", what, f"Name a split with labels as its `val`. {self.source}")
        return [Named(f"{shown}:{row:08d}", str(value)) for row, value in enumerate(values)]

    def measure(self, roots: Roots) -> Measured:
        self.require(roots)
        root = roots[self.name]
        found = self._entries(self.both(root))
        everything = [entry for split in SPLITS for entry in found[split]]
        sizes = _sizes(root, [path for path, _ in everything])
        size = Size(1 + max(label for _, label in everything), len(found["train"]), len(found["val"]))
        listed = [mark for split in SPLITS for mark in marks(split, found[split])]
        return Measured(size, fingerprint([*listed, *sizes]), sum(num_bytes for _, num_bytes in sizes))

    def inspect(self, inspection: Inspection) -> None:
        """Splits, labels and counts; with `decode`, also each image where it lies in its file."""
        try:
            found = self._entries(self.both(inspection.root))
        except DataError as error:
            inspection.add_error(error)
            return
        for split, entries in found.items():
            inspection.lists[split] = entries
            inspection.compare_count(split, len(entries))
        everything = [entry for split in SPLITS for entry in found[split]]
        inspection.marks = [mark for split, entries in found.items() for mark in marks(split, entries)]
        inspection.marks += _sizes(inspection.root, [path for path, _ in everything])
        if inspection.decode:
            self._decode(inspection, [path for path, _ in everything])

    def _decode(self, inspection: Inspection, paths: list[str]) -> None:
        done = 0
        for name in _files_of(paths):
            try:
                for image in self._images(inspection.root / name):
                    _decode(image, f"{inspection.root / name}, row {image.row}", inspection)
                    done += 1
                    if inspection.progress is not None:
                        inspection.progress(done, len(paths))
            except DataError as error:
                inspection.add_error(error, "unreadable files")

    def _images(self, path: Path) -> Iterator[Image]:
        """Each image of a file."""
        with _reading(path, self.source) as file:
            row, column = 0, _column(path, file, IMAGES)
            for batch in file.iter_batches(batch_size=ROWS, columns=[column]):
                for value in batch.column(0).to_pylist():
                    content = value.get("bytes") if isinstance(value, dict) else value
                    yield Image(row, content if isinstance(content, bytes) else b"")
                    row += 1

    def unpack(self, root: Path, folder: Path, progress: Progress) -> None:
        found = self._entries(self.both(root))
        places = {path: (split, label) for split, entries in found.items() for path, label in entries}
        for split, label in sorted(set(places.values())):
            (folder / split / f"{label:05d}").mkdir(parents=True)
        done = 0
        for number, name in enumerate(_files_of(places)):
            for image in self._images(root / name):
                split, label = places[f"{name}:{image.row:08d}"]
                if not (suffix := _suffix(image.content)):
                    raise DataError(f"{root / name}, row {image.row}", _kind_fault(image.content), self.restore)
                place = folder / split / f"{label:05d}" / f"{number:05d}-{image.row:08d}{suffix}"
                place.write_bytes(image.content)
                progress(done := done + 1, len(places))

    def read(self, roots: Roots, split: Split, size: Size) -> ImageSplit:
        """What the data job has unpacked."""
        root = roots[self.name]
        paths = [path.relative_to(root).as_posix() for path in images_below(root / split)]
        entries = [(path, int(path.split("/")[1])) for path in paths]
        if len(entries) != (wanted := size.train if split == "train" else size.val):
            what = f"{len(entries):,} unpacked images of {split}, expected {wanted:,}"
            raise DataError(root, what, "Delete the data job's folder and run the suite again.")
        return ImageSplit(root, entries, fingerprint(entries))


def _files_of(paths: Iterable[str]) -> list[str]:
    """The files of some rows."""
    return sorted({path.rpartition(":")[0] for path in paths})


def _sizes(root: Path, paths: Iterable[str]) -> list[tuple[str, int]]:
    return [(file, (root / file).stat().st_size) for file in _files_of(paths)]


def _decode(image: Image, where: str, inspection: Inspection) -> None:
    decoded = decode_image(io.BytesIO(image.content))
    if fault := _kind_fault(image.content) or decoded.error:
        inspection.add("unreadable images", where, fault)
    else:
        inspection.count_picture(Path(where), decoded)


def _kind_fault(content: bytes) -> str:
    """Why training would not read it, or nothing."""
    if not content:
        return "no bytes of an image"
    return "" if _suffix(content) else "no JPEG, PNG, WebP, TIFF or BMP file"


def _split_of(name: str) -> str:
    match = SHARD.fullmatch(name)
    return match["name"] if match else ""


@contextmanager
def _reading(path: Path, do: str) -> Generator[Any]:
    """A parquet file, its footer read.

    Raises:
        DataError: it is none or is damaged, or pyarrow is not installed.
    """
    try:
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise DataError(path, "a parquet file, and pyarrow is not installed", f"{INSTALL}.") from error
    try:
        with parquet.ParquetFile(path) as file:
            yield file
    except DataError:
        raise
    except (OSError, ValueError) as error:  # pyarrow's own are of these kinds
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(path, f"not readable as a parquet file ({reason})", do) from error


def _column(path: Path, file: Any, names: tuple[str, ...]) -> str:
    """The first of some columns that a file has.

    Raises:
        DataError: it has none of them.
    """
    found: list[str] = file.schema_arrow.names
    if (name := next((name for name in names if name in found), None)) is None:
        what = f"columns {', '.join(found)}, expected one of {', '.join(names)}"
        raise DataError(path, what, "Rename the column, and write the files again.")
    return name


def _class_names(file: Any, column: str) -> int | None:
    """How many classes the metadata name."""
    try:
        described = json.loads((file.schema_arrow.metadata or {})[b"huggingface"])
        return len(described["info"]["features"][column]["names"])
    except (KeyError, TypeError, ValueError):
        return None


def _suffix(content: bytes) -> str:
    """By the first bytes; nothing, where training would not read the kind."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return ".webp"
    return next((suffix for start, suffix in KINDS if content.startswith(start)), "")
