"""Few-shot data: a drawn part of a data set's training images, and how a data set's name says so (ADR 43).

`imagenet1k@1%` is a share of the training images, `imagenet1k@10shot` so many of each class. Validation is whole.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple, Self

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from caebench.datasets.splits import Size
from caebench.files.toml import brief
from caebench.specs.base import Config

MARK = "@"  # between a data set's name and its few-shot suffix
SUFFIX = re.compile(r"(?:(?P<share>\d{1,3}(?:\.\d{1,9})?)%|(?P<shots>\d{1,9})shot)", re.ASCII)
PATTERN = r"@([0-9]{1,3}(\.[0-9]{1,9})?%|[0-9]{1,9}shot)$"  # the same for JSON Schema
WRITE = "Write @1% (a share of the training images, above 0 % and below 100 %) or @10shot (images of each class)."
DRAWS = 5  # jobs of a column on few-shot data, for each seed


class FewShot(Config):
    """Which part of the training images is drawn: a share of them, or so many of each class."""

    share: float | None = Field(default=None, gt=0.0, lt=1.0)
    """Share of the training images, spread over the classes as in the whole set, one of each class at least."""
    shots: PositiveInt | None = None
    """Training images of each class."""
    draw: NonNegativeInt = 0
    """Number of the draw; a column's `draws` sets it, a suite never does."""

    @model_validator(mode="after")
    def _is_one_of_two(self) -> Self:
        if (self.share is None) == (self.shots is None):
            raise ValueError("give exactly one of 'share' and 'shots'")
        return self

    @property
    def words(self) -> str:
        """As a data set's name ends: `1%`, `10shot`."""
        return f"{self.shots}shot" if self.share is None else f"{100 * self.share:g}%"

    @property
    def slug(self) -> str:
        """As a folder's name has it, with the draw: `1pct-d0`, `10shot-d0`."""
        return f"{self.words.replace('%', 'pct')}-d{self.draw}"

    def size(self, whole: Size) -> Size:
        """Images and classes of the drawn part, known before a list is read."""
        if self.share is None:
            assert self.shots is not None, "one of the two is given"
            return whole._replace(train=self.shots * whole.num_classes)
        return whole._replace(train=max(whole.num_classes, round(self.share * whole.train)))

    def of_each_class(self, sizes: Sequence[int]) -> list[int]:
        """How many images are drawn of each class, given how many there are; never more than there are.

        Raises:
            ValueError: a class has too few.
        """
        least = 1 if self.shots is None else self.shots
        if (fewest := min(sizes)) < least:
            raise ValueError(f"class {sizes.index(fewest)} has {fewest:,} training images, {least:,} are to be drawn")
        if self.shots is not None:
            return [self.shots] * len(sizes)
        return apportion(self.size(Size(len(sizes), sum(sizes), 0)).train, sizes)


def apportion(total: int, sizes: Sequence[int]) -> list[int]:
    """Places in proportion to sizes, one for each at least: largest remainders, of equal ones the first.

    In whole numbers, so that every machine gives the same.
    """
    rest = dict(enumerate(sizes))  # those whose share is a place or more
    places, whole = total, sum(sizes)
    while small := [index for index, size in rest.items() if places * size < whole]:
        rest = {index: size for index, size in rest.items() if index not in small}
        places, whole = total - (len(sizes) - len(rest)), sum(rest.values())
    given = [places * rest[index] // whole if index in rest else 1 for index in range(len(sizes))]
    by_remainder = sorted(rest, key=lambda index: -(places * rest[index] % whole))
    for index in by_remainder[: total - sum(given)]:
        given[index] += 1
    return given


class NamedData(NamedTuple):
    """A data set's name, taken apart."""

    name: str
    few: FewShot | None


def parse(text: str) -> NamedData:
    """A data set's name with or without a few-shot suffix.

    Raises:
        ValueError: the suffix says nothing that can be drawn.
    """
    name, *suffixes = text.split(MARK)
    if not suffixes:
        return NamedData(name, None)
    shown = f"data set '{brief(text)}'"
    if len(suffixes) > 1:
        raise ValueError(f"{shown}: {len(suffixes)} suffixes, and a data set has one at most. {WRITE}")
    found = SUFFIX.fullmatch(suffixes[0])
    if found is None:
        raise ValueError(f"{shown}: '{MARK}{brief(suffixes[0])}' is no few-shot suffix. {WRITE}")
    if found["shots"] is not None:
        if not int(found["shots"]):
            raise ValueError(f"{shown}: no images of a class. {WRITE}")
        return NamedData(name, FewShot(shots=int(found["shots"])))
    percent = Decimal(found["share"])
    if not 0 < percent < 100:
        what = "no images" if percent == 0 else "all images: leave the suffix out" if percent == 100 else "too many"
        raise ValueError(f"{shown}: {MARK}{brief(suffixes[0])} of the training images are {what}. {WRITE}")
    return NamedData(name, FewShot(share=float(percent / 100)))
