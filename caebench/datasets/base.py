"""What a data set says of itself: one object, in a file of its own (ADR 26). No torch; nothing of jobs or scales."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from caebench.datasets.errors import DataError
from caebench.datasets.inspection import Inspection, Progress
from caebench.datasets.splits import SPLITS, Amount, ImageSplit, Measured, SceneSplit, Size, Split
from caebench.datasets.synthetic.canvas import Canvas

Labels = Literal["class", "classes", "map", "instances"]  # of an image: one, one or several, a class a pixel, objects
Roots = Mapping[str, Path]  # by the name of the data set: the folder or file that a site names


@dataclass(frozen=True, eq=False, kw_only=True)
class Dataset(ABC):
    """A data set: layout, published counts, reader, checker, and how it is rendered for scales with synthetic data."""

    name: str
    published: Size | None  # None: it exists rendered only
    layout: str  # what the folder, or which file, a site names
    source: str  # the sentence that says where to get it
    folder: str  # its root in the rendered world
    num_rendered_classes: int
    marks: tuple[str, ...] = ()  # patterns below the root: where one finds nothing, the layout is another
    purpose: int = 0  # which random numbers its training pictures are drawn from; one more, its validation pictures
    labels: Labels = "class"
    reads: tuple["Dataset", ...] = ()  # other sets whose roots it reads
    borrows: tuple[Split, ...] = ()  # the splits that are those of the first of them
    rendered_splits: tuple[Split, ...] = SPLITS  # the splits whose pictures are rendered
    rendered_with: str | None = None  # the data set whose job renders this one too; None: its own

    @abstractmethod
    def read(self, roots: Roots, split: Split, size: Size) -> ImageSplit | SceneSplit:
        """One of its own splits; no image is opened.

        Raises:
            DataError: something is missing or wrong.
        """

    @abstractmethod
    def render(self, canvas: Canvas) -> None:
        """Write it as its publisher lays it out, from the canvas's random numbers."""

    def measure(self, roots: Roots) -> Measured:
        """What its folder has, to plan with a subset; no image is opened.

        Raises:
            DataError: it cannot be listed.
            TypeError: subsets of it are not read.
        """
        raise TypeError(f"{self.name} has no subsets: give it a method `measure`")

    def inspect(self, inspection: Inspection) -> None:
        """Find what is wrong with it; of most sets, what reading it and its counts tell."""
        for split in self.own:
            try:
                found = self.read(inspection.roots, split, inspection.size)
            except DataError as error:
                inspection.add_error(error)
            else:
                inspection.note(split, found)

    def rendered(self, amount: Amount) -> Size:
        """Its size where it is rendered."""
        return Size(self.num_rendered_classes, amount.train, amount.val)

    @property
    def has_subsets(self) -> bool:
        """Whether a part of it can be a data set of its own (ADR 30)."""
        return self.published is not None and not self.reads

    @property
    def is_packed(self) -> bool:
        """Whether its data job unpacks it, into a folder that `read` reads; all else reads the site's folder."""
        return False

    def unpack(self, root: Path, folder: Path, progress: Progress) -> None:
        """Write what is packed below `root` into a new folder; the content of no image changes.

        Raises:
            DataError: something is missing or wrong.
            TypeError: it is not packed.
        """
        raise TypeError(f"{self.name} is not packed")

    @property
    def is_decoded_first(self) -> bool:
        """Whether its data job opens every image: what a user has made may be wrong in any of them."""
        return False

    @property
    def restore(self) -> str:
        """What to do about most faults of its files."""
        return f"Unpack it again. {self.source}"

    @property
    def own(self) -> tuple[Split, ...]:
        """The splits that it borrows from no other set."""
        return tuple(split for split in SPLITS if split not in self.borrows)

    def owner(self, split: Split) -> "Dataset":
        """The data set whose split it is."""
        return self.reads[0] if split in self.borrows else self

    def open(self, roots: Roots, split: Split, size: Size) -> ImageSplit | SceneSplit:
        """A split, its own or a borrowed one.

        Raises:
            DataError: something is missing or wrong.
        """
        self.require(roots)
        return self.owner(split).read(roots, split, size)

    def check(self, roots: Roots, size: Size, *, decode: bool = True, progress: Progress | None = None) -> Inspection:
        """Verify layout, lists and counts; with `decode`, also every pixel of every image, else no image is opened."""
        inspection = Inspection(self, roots, size, decode, progress)
        try:
            self.require(roots)
        except DataError as error:
            inspection.add_error(error)
        else:
            self.inspect(inspection)
        return inspection

    def glance(self, root: Path) -> str | None:
        """What a look at the folder alone finds wrong; no image and no list is opened. None: nothing."""
        if not root.exists():
            return f"no such folder or file, wanted: {self.layout}"
        if not self.marks:
            return None if root.is_file() else f"a folder, wanted: {self.layout}"
        absent = [mark for mark in self.marks if next(root.glob(mark), None) is None]
        return f"nothing is at {', '.join(absent)}, wanted: {self.layout}" if absent else None

    def require(self, roots: Roots) -> None:
        """Check that its folder exists, and those of the data sets that it reads.

        Raises:
            DataError: one does not.
        """
        for known in (self, *self.reads):
            if not (root := roots[known.name]).exists():
                what = f"no such folder or file, wanted as the root of {known.name}: {known.layout}"
                raise DataError(root, what, f"{known.source}, or correct the site file.")
