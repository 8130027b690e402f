"""Where a data set is rendered: its files, and the random numbers of its pictures.

A picture depends on `(seed, purpose, index)` alone: neither on how many there are nor on the order they are drawn in.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from caebench.datasets.splits import Amount, Split
from caebench.datasets.synthetic.rendering import Pixels
from caebench.files.atomic import write_text

JPEG_QUALITY = 90


@dataclass(frozen=True)
class Canvas:
    """What one data set is rendered on."""

    root: Path  # as a site would name it
    amount: Amount
    purpose: int
    tick: Callable[[], None]  # another picture is there

    def pictures(self, split: Split) -> Iterator[tuple[int, np.random.Generator]]:
        """Each picture's index and its own generator; it is to be drawn before the next is asked for."""
        is_train = split == "train"
        purpose = self.purpose if is_train else self.purpose + 1
        for index in range(self.amount.train if is_train else self.amount.val):
            yield index, np.random.default_rng([self.amount.seed, purpose, index])
            self.tick()

    def draw(self, path: str, pixels: Pixels) -> None:
        """Write a picture, as JPEG or PNG by the path's ending."""
        Image.fromarray(pixels).save(self._place(path), quality=JPEG_QUALITY)

    def write(self, path: str, text: str) -> None:
        """Write a text file."""
        write_text(self._place(path), text)

    def write_lines(self, path: str, lines: Iterable[str]) -> None:
        """Write a text file, each line with its end."""
        self.write(path, "".join(f"{line}\n" for line in lines))

    def _place(self, path: str) -> Path:
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        return place
