"""One check under way: what it looks at, the problems and notes it has found, and the images it decodes."""

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from caebench.config.data import Split
from caebench.data.errors import DataError
from caebench.data.facts import Facts

SHOWN = 5  # problems of one kind that are told one by one
BATCH = 512  # images in flight: a million futures would take a gigabyte
NUM_THREADS = min(16, os.cpu_count() or 1)  # Pillow decodes without the interpreter's lock

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where, what was found and expected, what to do next."""

    where: str
    what: str
    do: str


@dataclass(frozen=True)
class Decoded:
    """What decoding one image told."""

    size: tuple[int, int] = (0, 0)  # width, height
    mode: str = ""
    top_value: int = 0  # the largest, of single-channel images
    error: str = ""


@dataclass
class Inspection:
    """Collects problems by kind, so that a thousand of one kind do not bury one of another."""

    root: Path
    facts: Facts
    decode: bool
    progress: Progress | None = None
    notes: list[str] = field(default_factory=list)
    modes: Counter[str] = field(default_factory=Counter)
    _kept: dict[str, list[Problem]] = field(default_factory=dict)
    _totals: Counter[str] = field(default_factory=Counter)

    def add(self, kind: str, where: Path | str, what: str, do: str) -> None:
        """Count a problem, and keep it if it is among the first of its kind."""
        self._totals[kind] += 1
        if self._totals[kind] <= SHOWN:
            self._kept.setdefault(kind, []).append(Problem(str(where), what, do))

    def add_error(self, error: DataError) -> None:
        """Take over what a listing raised, once: a fault of the root is raised for each split."""
        problem = Problem(str(error.where), error.what, error.do)
        if problem not in self._kept.get("listing", []):
            self.add("listing", *(problem.where, problem.what, problem.do))

    def problems(self) -> list[Problem]:
        """All that is kept, and one line for the rest of each kind."""
        told: list[Problem] = []
        for kind, problems in self._kept.items():
            told += problems
            more = self._totals[kind] - len(problems)
            if more:
                what = f"{kind}: {more:,} more like these ({self._totals[kind]:,} in all)"
                told.append(Problem(str(self.root), what, problems[-1].do))
        return told

    def all_notes(self) -> list[str]:
        """Notes, with the images that are not RGB counted by mode."""
        names = {"L": "grayscale", "CMYK": "CMYK"}
        odd = [(names.get(mode, f"of mode {mode}"), num) for mode, num in sorted(self.modes.items()) if mode != "RGB"]
        return self.notes + [f"images that are {name}, to be read as RGB: {num:,}" for name, num in odd]

    def compare_count(self, split: Split, found: int) -> None:
        """Compare the number of images of a split with the expected one."""
        wanted = self.facts.train if split == "train" else self.facts.val
        if found != wanted:
            what = f"{split} has {found:,} images, expected {wanted:,}"
            self.add(f"count of {split}", self.root, what, f"Unpack the archives again. {self.facts.source}")

    def existing(self, paths: Iterable[Path], listed_in: Path | str) -> list[Path]:
        """Those paths that are files; each other one is a problem."""
        found: list[Path] = []
        for path in paths:
            if path.is_file():
                found.append(path)
            else:
                what = f"no such file, though it is listed in {listed_in}"
                self.add("missing images", path, what, f"Unpack the archives again. {self.facts.source}")
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
                        self.add("unreadable images", path, image.error, f"Unpack it again. {self.facts.source}")
                    else:
                        yield path, image


def decode_image(path: Path) -> Decoded:
    """Decode every pixel of an image; an error is returned, not raised."""
    try:
        with Image.open(path) as image:
            image.load()
            top = image.getextrema()[1] if len(image.getbands()) == 1 else 0
            assert not isinstance(top, tuple), "one band has one pair of extrema"
            return Decoded(image.size, image.mode, int(top))
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return Decoded(error=f"not readable as an image: {reason}")
