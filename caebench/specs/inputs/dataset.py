"""Data sets as inputs of jobs: the real ones, and those rendered in their place, in the same on-disk layouts."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt

from caebench.datasets.base import Dataset, Roots
from caebench.datasets.errors import DataError
from caebench.datasets.own.formats import own_dataset
from caebench.datasets.registry import DATASETS, PUBLISHED
from caebench.datasets.splits import Size
from caebench.files.layout import WORLD
from caebench.specs.base import NOT_IDENTITY, Config, NeedsWholeSetError
from caebench.specs.did_you_mean import suggest
from caebench.specs.inputs.few_shot import MARK, FewShot
from caebench.specs.job import Inputs, Job, Spec, make_job
from caebench.specs.own_data import DataName, OwnLayout
from caebench.specs.scale import Scale
from caebench.specs.world import RealName, RenderedName, World


class DataSpec(Spec):
    """A data set, real or rendered."""

    FOLDER: ClassVar[str | None] = "data"
    IS_COMMON: ClassVar[bool] = True

    name: str
    """The data set's name."""
    few: FewShot | None = None
    """The drawn part of the training images; without it, all of them. A column's `data` says it (ADR 43)."""

    @property
    def dataset(self) -> Dataset:
        """What is known of it."""
        return DATASETS[self.name]

    @property
    @abstractmethod
    def whole_size(self) -> Size:
        """Images and classes of the whole set."""

    @property
    def size(self) -> Size:
        """Images and classes that a job sees: of the drawn part, or of the whole set."""
        return self.whole_size if self.few is None else self.few.size(self.whole_size)

    @property
    def whole(self) -> Self:
        """The whole set, whose job every part depends on."""
        return self if self.few is None else self.replace(few=None)

    @property
    def fits_optimization(self) -> bool:
        """Whether batch and rate of a training follow the number of its images: of a published set they never do."""
        return self.few is not None

    @property
    def words(self) -> str:
        """Its name as a column gives it: `imagenet1k@10shot`."""
        return self.name if self.few is None else f"{self.name}{MARK}{self.few.words}"

    @property
    def short(self) -> str:
        """Its name in that of a job."""
        return self.name if self.few is None else f"{self.name}-{self.few.slug}"

    def slug(self, inputs: Inputs, mark: str) -> str:
        """Its name."""
        return self.name

    def implied(self, inputs: Inputs) -> dict[str, Job]:
        """The other data sets that it reads."""
        return {known.name: make_job(self.whole.replace(name=known.name)) for known in self.dataset.reads}


class Contents(Config):
    """What a folder has: a part of a published data set (ADR 30), or a user's own (ADR 41), named by its lists."""

    fingerprint: str
    """Of the lists of both splits."""
    num_classes: PositiveInt
    """Classes."""
    num_train: PositiveInt
    """Training images."""
    num_val: PositiveInt
    """Validation images."""
    unpacked_bytes: Annotated[NonNegativeInt, NOT_IDENTITY] = 0
    """What the data job writes, of a format that is unpacked."""

    @property
    def size(self) -> Size:
        """Images and classes."""
        return Size(self.num_classes, self.num_train, self.num_val)

    def __str__(self) -> str:
        counts = f"{self.num_train:,} training and {self.num_val:,} validation images"
        return f"{self.num_classes:,} classes, {counts}, fingerprint {self.fingerprint}"


class RealData(DataSpec):
    """A real data set; its folder is named by the site file, its size and classes are those published.

    A subset has its own size; the whole set has none, so that its id is what it always was.
    """

    kind: Literal["real"]
    name: RealName
    subset: Contents | None = None
    """What a site has of it, where that is a part; a plan fills it in (ADR 30)."""

    @property
    def whole_size(self) -> Size:
        """Images and classes: as published, or of the subset."""
        assert self.dataset.published is not None, "the name is that of a published data set"
        return self.dataset.published if self.subset is None else self.subset.size

    def slug(self, inputs: Inputs, mark: str) -> str:
        """Its name, and whether it is a subset."""
        return self.name if self.subset is None else f"{self.name}-subset"

    def on_site(self, found: Mapping[str, Config]) -> Self:
        """What the site has of it.

        Raises:
            NeedsWholeSetError: it reads another data set as a whole, of which there is a subset.
        """
        for known in self.dataset.reads:
            if known.name in found:
                where = f"this site has a subset ([data.{known.name}] subset = true)"
                raise NeedsWholeSetError(f"{self.name} goes with the whole {known.name}, of which {where}")
        return self.replace(subset=found[self.name]) if self.name in found else self

    def scaled(self, scale: Scale) -> Any:
        """The stand-in of a scale that has one."""
        if scale.world is None:
            return self
        return SyntheticData(kind="synthetic", name=self.name, world=scale.world, few=self.few)

    def roots(self, named: Roots, jobs: Mapping[str, Path]) -> Roots:
        """The folders to read it from: those that the site names.

        Raises:
            DataError: the site file does not name one.
        """
        for known in (self.dataset, *self.dataset.reads):
            if known.name not in named:
                raise DataError(f"site file, [data] {known.name}", "not set", f"Name there {known.layout}.")
        return named


class SyntheticData(DataSpec):
    """A synthetic data set, in place of the real one of that name."""

    VERSION: ClassVar[int] = 4

    kind: Literal["synthetic"]
    name: RenderedName
    world: World
    """How much is rendered, and how large."""

    @property
    def whole_size(self) -> Size:
        """Images and classes."""
        return self.dataset.rendered(self.world.amount(self.name))

    def slug(self, inputs: Inputs, mark: str) -> str:
        """Its name, and that it is no real data set."""
        return f"{self.name}-synthetic"

    def scaled(self, scale: Scale) -> "SyntheticData":
        """As it is: it has its own size."""
        return self

    def roots(self, named: Roots, jobs: Mapping[str, Path]) -> Roots:
        """The folders to read it from, in the finished jobs that rendered them; its own has the role `data`."""
        own = {self.name: jobs["data"], **{known.name: jobs[known.name] for known in self.dataset.reads}}
        return {name: job / WORLD / DATASETS[name].folder for name, job in own.items()}

    def disk_bytes(self, inputs: Inputs) -> int:
        """Of small JPEGs."""
        return 2200 * len(self.layouts) * (self.whole_size.train + self.whole_size.val)

    @property
    def layouts(self) -> tuple[str, ...]:
        """The data sets that its job renders."""
        return (self.name, *(name for name, known in DATASETS.items() if known.rendered_with == self.name))


class OwnData(DataSpec):
    """A user's data set: a folder in a common format, which a site file names (ADR 41). No scale replaces it."""

    kind: Literal["own"]
    name: DataName
    layout: OwnLayout | None = None
    """How the folder is laid out; a plan fills it in, from the site file."""
    contents: Contents | None = None
    """What is in the folder; a plan fills it in."""

    @property
    def dataset(self) -> Dataset:
        """What is known of it."""
        if self.layout is None:
            raise unnamed(self.name, ())
        return own_dataset(self.name, self.layout.form)

    @property
    def whole_size(self) -> Size:
        """Images and classes."""
        if self.contents is None:
            raise unnamed(self.name, ())
        return self.contents.size

    @property
    def fits_optimization(self) -> bool:
        """Always: no recipe was made for its number of images."""
        return True

    def slug(self, inputs: Inputs, mark: str) -> str:
        """Its name."""
        return self.name

    def on_site(self, found: Mapping[str, Config]) -> Self:
        """With what the site's folder has."""
        if self.contents is not None:
            return self
        if self.name not in found:
            raise unnamed(self.name, found)
        return self.replace(**dict(found[self.name]))

    def scaled(self, scale: Scale) -> Self:
        """As it is: nothing stands in for it."""
        return self

    def disk_bytes(self, inputs: Inputs) -> int:
        """Of the images, where they are unpacked."""
        return super().disk_bytes(inputs) + (self.contents.unpacked_bytes if self.contents is not None else 0)

    def roots(self, named: Roots, jobs: Mapping[str, Path]) -> Roots:
        """The folder that the site names; of a packed format, what the finished data job has unpacked, role `data`.

        Raises:
            DataError: the site file does not name it.
        """
        if self.dataset.is_packed and "data" in jobs:
            return {self.name: jobs["data"] / WORLD / self.name}
        if self.name not in named:
            raise DataError(f"site file, [data] {self.name}", "not set", f"Name there {self.dataset.layout}.")
        return named


class OnSite(Config):
    """What a site has of a user's data set."""

    layout: OwnLayout
    """How the folder is laid out."""
    contents: Contents
    """What is in it."""


def unnamed(name: str, own: Iterable[str]) -> ValueError:
    """No data set of that name is published, and the site names none."""
    known = [*PUBLISHED, *(one for one in own if one not in PUBLISHED)]
    mine = f'name it in the site file: [data.{name}] root = "...", format = "imagefolder"'
    return ValueError(
        f"data set '{name}': unknown.{suggest(name, known)} Known: {', '.join(known)}. A folder of yours: {mine}."
    )


Data = Annotated[RealData | SyntheticData | OwnData, Field(discriminator="kind")]
IMAGENET = RealData(kind="real", name="imagenet1k")
IMAGE_SIZE = 224  # pixels of a side, in the recipes of pretraining and classification
