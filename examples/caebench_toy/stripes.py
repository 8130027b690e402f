"""A data set: stripes that lie or stand. All pictures are in one folder, and a table says split and class of each."""

import csv
from pathlib import Path

import numpy as np

from caebench.datasets.errors import DataError
from caebench.datasets.images import ImageDataset
from caebench.datasets.splits import SPLITS, Entry, Size, Split
from caebench.datasets.synthetic.canvas import Canvas

TABLE = "stripes.csv"  # one line a picture: class/file, split
CLASSES = ("lying", "standing")


class Stripes(ImageDataset):
    """A class is a folder; labels are in the classes' order."""

    def listed_in(self, split: Split) -> str:
        """The file that lists a split's pictures, relative to the root."""
        return TABLE

    def entries(self, root: Path, split: Split, size: Size) -> list[Entry]:
        """The pictures of a split with their labels."""
        if not (root / TABLE).is_file():
            raise DataError(root / TABLE, "no such file: it lists the pictures", self.source)
        lines = list(csv.reader((root / TABLE).read_text(encoding="utf8").splitlines()))
        return [(path, CLASSES.index(path.partition("/")[0])) for path, where in lines if where == split]

    def render(self, canvas: Canvas) -> None:
        """What stands in for it at nano and lab scale: written in the layout that `entries` reads."""
        lines: list[str] = []
        for split in SPLITS:
            for index, rng in canvas.pictures(split):
                label = index % len(CLASSES)
                path = f"{CLASSES[label]}/{split}_{index}.jpg"
                canvas.draw(path, draw(rng, bool(label), canvas.amount.pixels))
                lines.append(f"{path},{split}")
        canvas.write_lines(TABLE, lines)


def draw(rng: np.random.Generator, standing: bool, size: int) -> np.ndarray:
    """Dark and bright stripes of a random width and place, in noise."""
    wave = np.sin(np.arange(size) * rng.uniform(0.3, 1.0) + rng.uniform(0.0, 6.3))
    stripes = np.broadcast_to(wave[None, :] if standing else wave[:, None], (size, size))
    grey = 128 + 60 * stripes + rng.normal(0.0, 20.0, (size, size))
    return np.repeat(grey.clip(0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


STRIPES = Stripes(
    name="stripes",
    published=Size(num_classes=2, train=20_000, val=1_000),
    layout=f"the folder that holds {TABLE}, lying/ and standing/",
    source="Nobody publishes it: it is an example",
    folder="stripes",
    num_rendered_classes=2,
    purpose=1001,
)
DATASETS = (STRIPES,)
