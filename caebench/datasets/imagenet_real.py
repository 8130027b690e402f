"""ReaL (arXiv 2006.07159): ImageNet's validation images with the labels that people gave them; some have none."""

import json
import re
from pathlib import Path

from caebench.datasets.base import Dataset, Roots
from caebench.datasets.errors import DataError, read_json
from caebench.datasets.imagenet1k import IMAGENET1K, SIZE
from caebench.datasets.splits import Amount, ImageSplit, Size, Split, fingerprint
from caebench.datasets.synthetic.canvas import Canvas


class ReaL(Dataset):
    """A list of labels an image, by the number in the image's name; trained on are ImageNet's images."""

    def read(self, roots: Roots, split: Split, size: Size) -> ImageSplit:
        """The images that have a label."""
        images, path = IMAGENET1K.read(roots, split, size), roots[self.name]
        labels = self._labels(path, len(images.entries), size.num_classes)
        numbered = ((name, labels[_number(name, len(labels)) - 1]) for name, _ in images.entries)
        known = [(name, tuple(accepted)) for name, accepted in numbered if accepted]
        if not known:
            raise DataError(path, "no image has a label", f"{self.source}.")
        mark = fingerprint((name, str(accepted)) for name, accepted in known)
        entries = [(name, accepted[0]) for name, accepted in known]
        return ImageSplit(images.root, entries, mark, tuple(accepted for _, accepted in known))

    def _labels(self, path: Path, num_images: int, num_classes: int) -> list[list[int]]:
        labels = read_json(path, self.source)
        is_list = isinstance(labels, list) and len(labels) == num_images
        if not (is_list and all(_is_labels(one, num_classes) for one in labels)):
            what = f"expected a list of {num_images:,} lists of class numbers, one for each of ImageNet's images"
            raise DataError(path, what, f"{self.source}.")
        return labels

    def rendered(self, amount: Amount) -> Size:
        """Every tenth image has no label."""
        return Size(self.num_rendered_classes, amount.train, amount.val - amount.val // 10)

    def render(self, canvas: Canvas) -> None:
        """Every third image has two labels."""
        digits = ((index, index % 10) for index in range(canvas.amount.val))
        labels = [[digit, (digit + 1) % 10][: 2 if index % 3 == 0 else 1] for index, digit in digits]
        labels[9::10] = [[] for _ in labels[9::10]]
        canvas.write("", json.dumps(labels))


def _is_labels(value: object, num_classes: int) -> bool:
    return isinstance(value, list) and all(isinstance(label, int) and 0 <= label < num_classes for label in value)


def _number(name: str, num_images: int) -> int:
    found = re.search(r"_(\d{8})\.\w+$", name)
    if found is None or not 1 <= int(found[1]) <= num_images:
        do = "ReaL's labels go by ILSVRC2012_val_00000001.JPEG and so on: restore the names of the archive."
        raise DataError(name, f"no number from 1 to {num_images:,} in this validation image's name", do)
    return int(found[1])


IMAGENET_REAL = ReaL(
    name="imagenet_real",
    published=SIZE._replace(val=46_837),
    layout="the file real.json",
    source="Get real.json (google-research/reassessed-imagenet)",
    folder="real.json",
    num_rendered_classes=10,
    labels="classes",
    reads=(IMAGENET1K,),
    borrows=("train",),
    rendered_splits=(),
)
