"""A check, under way or done: what it looks at, the problems and notes it has found, and the images it decodes."""

import os
import stat
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from PIL import Image

from caebench.datasets.differences import classes_of_odd_size
from caebench.datasets.errors import DataError
from caebench.datasets.pixels import (
    LABEL_MODES,
    UNREADABLE,
    UPRIGHT,
    WRITE_8_BITS,
    PixelSize,
    as_stored,
    fault_of_range,
    orientation_of,
    size_error,
    top_label_of,
)
from caebench.datasets.splits import Entry, ImageSplit, SceneSplit, Size, Split, fingerprint
from caebench.files.permissions import denied_at

SHOWN = 5  # problems of one kind that are told one by one
BATCH = 512  # images in flight: a million futures would take a gigabyte
NUM_THREADS = min(16, os.cpu_count() or 1)  # Pillow decodes without the interpreter's lock
MISSING = ("no such file", "")

Progress = Callable[[int, int], None]


class Decoded(NamedTuple):
    """What decoding one image told."""

    size: PixelSize = (0, 0)  # as stored
    mode: str = ""
    orientation: int = UPRIGHT  # the EXIF tag, which is ignored
    top_value: int = 0  # the largest, of single-channel images
    top_label: int = 0  # the largest below 255, of single-channel images of 8 bits
    fault: str = ""  # of a picture whose values have no known range
    error: str = ""


class Inspectable(Protocol):
    """What a check asks of a data set (`base.Dataset`)."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def source(self) -> str:
        """The sentence that says where to get it."""
        ...

    @property
    def restore(self) -> str:
        """What to do about a fault, where nothing else helps."""
        ...

    @property
    def has_subsets(self) -> bool:
        """Whether a part of it can be a data set of its own."""
        ...


@dataclass
class Inspection:
    """Collects problems by kind, so that a thousand of one kind do not bury one of another."""

    dataset: "Inspectable"
    roots: Mapping[str, Path]
    size: Size
    decode: bool
    progress: Progress | None = None
    lists: dict[Split, list[Entry]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    marks: list[tuple[str, int | str]] = field(default_factory=list)  # what the fingerprint is of
    modes: Counter[str] = field(default_factory=Counter)
    hidden: list[Path] = field(default_factory=list)  # what a system left among the images
    num_tagged: int = 0  # decoded images with an EXIF orientation that would turn them
    _kept: dict[str, list[DataError]] = field(default_factory=dict)
    _totals: Counter[str] = field(default_factory=Counter)

    @property
    def name(self) -> str:
        """The data set's."""
        return self.dataset.name

    @property
    def source(self) -> str:
        """The sentence that says where to get it."""
        return self.dataset.source

    @property
    def root(self) -> Path:
        """Its own."""
        return self.roots[self.name]

    @property
    def ok(self) -> bool:
        """Whether the data set may be used."""
        return not self.problems

    @property
    def fingerprint(self) -> str:
        """Of all that could be listed; empty when nothing could."""
        return fingerprint(self.marks) if self.marks else ""

    def note(self, split: Split, found: ImageSplit | SceneSplit) -> None:
        """Keep a split that could be read."""
        assert isinstance(found, ImageSplit), "sets with labels below the image are read by inspecting them"
        self.lists[split] = found.entries
        self.marks += found.marks
        sizes = Counter(path.rsplit("/", 2)[-2] for path, _ in found.entries if "/" in path)
        self.compare_count(split, len(found.entries), sizes)

    def add(self, kind: str, where: Path | str, what: str, do: str = "") -> None:
        """Keep a problem."""
        self.add_error(DataError(where, what, do or self.dataset.restore), kind)

    def add_size(self, path: Path, found: PixelSize, wanted: PixelSize, says: str) -> None:
        """Keep a picture whose stored size is not that of its annotation, which `says` names."""
        self.add_error(size_error(path, found, wanted, says, self.dataset.restore), "sizes that differ")

    def add_error(self, error: DataError, kind: str = "listing") -> None:
        """Count a problem, and keep the first of each kind, once: a fault of the root is raised for each split."""
        kept = self._kept.setdefault(kind, [])
        if str(error) not in map(str, kept):
            self._totals[kind] += 1
            if len(kept) < SHOWN:
                kept.append(error)

    @property
    def problems(self) -> list[DataError]:
        """All that is kept, and one line for the rest of each kind."""
        told: list[DataError] = []
        for kind, kept in self._kept.items():
            told += kept
            if more := self._totals[kind] - len(kept):
                what = f"{kind}: {more:,} more like these ({self._totals[kind]:,} in all)"
                told.append(DataError(self.root, what, kept[-1].do))
        return told

    @property
    def notes(self) -> list[str]:
        """The images that are not RGB, counted by mode, those with an EXIF orientation, and what lies hidden."""
        names = {"L": "grayscale", "CMYK": "CMYK"}
        odd = [(names.get(mode, f"of mode {mode}"), num) for mode, num in sorted(self.modes.items()) if mode != "RGB"]
        notes = [f"images that are {name}, to be read as RGB: {num:,}" for name, num in odd]
        tagged = "images with an EXIF orientation other than 1, which is ignored: pixels are read as stored (ADR 28)"
        notes += [f"{tagged}: {self.num_tagged:,}"] if self.num_tagged else []
        if self.hidden:
            such = f"{len(self.hidden):,}, such as {min(self.hidden)}"
            notes.append(f"hidden files, which are not read: {such}. Delete them")
        return notes

    def compare_count(self, split: Split, found: int, sizes: Counter[str] | None = None) -> None:
        """Keep the number of images of a split, and compare it with the expected one; of which classes, by `sizes`."""
        self.counts[split] = found
        wanted = self.size.train if split == "train" else self.size.val
        if found != wanted:
            which = classes_of_odd_size(sizes, wanted, self.size.num_classes) if sizes else ""
            what = f"{split} has {found:,} images, expected {wanted:,}" + (f": {which}" if which else "")
            part = f"If it is a part on purpose, say [data.{self.name}] subset = true in the site file. "
            self.add(
                f"count of {split}",
                self.root,
                what,
                f"{part if self.dataset.has_subsets else ''}{self.dataset.restore}",
            )

    def find_hidden(self, folder: Path) -> None:
        """Note what lies hidden in a folder and in those below it."""
        for where, folders, names in os.walk(folder):
            self.hidden += [Path(where, name) for name in (*folders, *names) if is_hidden(name)]
            folders[:] = [name for name in folders if not is_hidden(name)]

    def count_picture(self, path: Path, image: Decoded) -> None:
        """Count a decoded picture by mode; one that cannot be brought to 8 bits is a problem."""
        self.modes[image.mode] += 1
        if image.fault:
            self.add("pixels of another kind", path, image.fault, WRITE_8_BITS)

    def existing(self, paths: Iterable[Path], listed_in: Path | str) -> list[Path]:
        """Those paths that are files with a content that may be read; each other one is a problem. None is opened."""
        found: list[Path] = []
        with ThreadPoolExecutor(NUM_THREADS) as pool:  # a network disk answers many at once
            remaining = iter(paths)
            while batch := list(islice(remaining, BATCH)):
                for path, fault in zip(batch, pool.map(fault_of_file, batch), strict=True):
                    if not fault:
                        found.append(path)
                    elif fault == MISSING:
                        self.add("missing images", path, f"no such file, though it is listed in {listed_in}")
                    else:
                        self.add("unusable files", path, *fault)
        return found

    def decoded(self, paths: Sequence[Path]) -> Iterator[tuple[Path, Decoded]]:
        """Decode images on several threads, in order; the unreadable ones become problems and are left out."""
        with warnings.catch_warnings(), ThreadPoolExecutor(NUM_THREADS) as pool:
            warnings.simplefilter("ignore")  # odd EXIF blocks are no concern of ours, and ImageNet has some
            for start in range(0, len(paths), BATCH):
                batch = paths[start : start + BATCH]
                for number, (path, image) in enumerate(zip(batch, pool.map(decode_image, batch), strict=True), start=1):
                    if self.progress is not None:
                        self.progress(start + number, len(paths))
                    if image.error:
                        self.add("unreadable images", path, image.error)
                    else:
                        self.num_tagged += image.orientation != UPRIGHT
                        yield path, image


def decode_image(path: Path | BinaryIO) -> Decoded:
    """Decode every pixel of an image; an error is returned, not raised."""
    try:
        with Image.open(path) as image:
            orientation, stored = orientation_of(image), as_stored(image)
            top = stored.getextrema()[1] if len(stored.getbands()) == 1 else 0
            assert not isinstance(top, tuple), "one band has one pair of extrema"
            top_label = top_label_of(stored) if stored.mode in LABEL_MODES else 0
            return Decoded(stored.size, stored.mode, orientation, int(top), top_label, fault_of_range(stored))
    except UNREADABLE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return Decoded(error=f"not readable as an image: {reason}")


def is_hidden(name: str) -> bool:
    """Whether a system left it: `.DS_Store`, `._a.JPEG`, `.nfs0001`, `Thumbs.db`."""
    return name.startswith(".") or name == "Thumbs.db"


def fault_of_file(path: Path) -> tuple[str, ...]:
    """What keeps a file from being read, and what to do (empty: unpack it again); nothing of a sound one."""
    try:
        facts = path.stat()
    except FileNotFoundError:
        return (f"a broken link to {path.readlink()}", "") if path.is_symlink() else MISSING
    except PermissionError:
        return denied_at(path)
    except OSError as error:
        return f"cannot be read ({error.strerror})", ""
    if not stat.S_ISREG(facts.st_mode):
        kind = "a folder" if stat.S_ISDIR(facts.st_mode) else "neither a file nor a folder"
        return f"{kind}, expected a picture", ""
    if not facts.st_size:
        return "an empty file", ""
    return () if os.access(path, os.R_OK) else denied_at(path)
