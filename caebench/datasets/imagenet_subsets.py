"""SimCLR's lists (arXiv 2002.05709) of 1 % and 10 % of ImageNet's training images."""

from dataclasses import dataclass

from caebench.datasets.base import Dataset, Roots
from caebench.datasets.errors import DataError, read_text
from caebench.datasets.imagenet1k import IMAGENET1K, SIZE, rendered_name
from caebench.datasets.splits import Amount, ImageSplit, Size, Split, fingerprint
from caebench.datasets.synthetic.canvas import Canvas


@dataclass(frozen=True, eq=False, kw_only=True)
class Subset(Dataset):
    """A file name a line; validation images are all of ImageNet's."""

    share: float

    def read(self, roots: Roots, split: Split, size: Size) -> ImageSplit:
        """In the list's order."""
        path, whole = roots[self.name], IMAGENET1K.read(roots, split, size)
        lines = read_text(path, f"{self.source}.").split()
        by_name = {name.rpartition("/")[2]: (name, label) for name, label in whole.entries}
        if unknown := [line for line in lines if line not in by_name]:
            what = f"names {unknown[0]!r} and {len(unknown) - 1} more that are no training images"
            raise DataError(path, what, "Restore the training images, or the list.")
        if not lines or len(set(lines)) < len(lines):
            what = "an empty list" if not lines else "names an image twice"
            raise DataError(path, what, f"{self.source} again.")
        entries = [by_name[line] for line in lines]
        return ImageSplit(whole.root, entries, fingerprint(entries))

    def rendered(self, amount: Amount) -> Size:
        """An image of each class at least."""
        num_train = max(self.num_rendered_classes, round(self.share * amount.train))
        return Size(self.num_rendered_classes, num_train, amount.val)

    def render(self, canvas: Canvas) -> None:
        """The first images, which are equally many of each class."""
        num_train = self.rendered(canvas.amount).train
        canvas.write_lines("", (rendered_name("train", index).rpartition("/")[2] for index in range(num_train)))


def _subset(percent: int, num_train: int) -> Subset:
    file = f"{percent}percent.txt"
    return Subset(
        name=f"imagenet_{percent}pct",
        published=SIZE._replace(train=num_train),
        layout=f"the file {file}",
        source=f"Get {file} from google-research/simclr, imagenet_subsets",
        folder=f"imagenet_subsets/{file}",
        num_rendered_classes=10,
        reads=(IMAGENET1K,),
        borrows=("val",),
        rendered_splits=(),
        share=percent / 100,
    )


IMAGENET_1PCT = _subset(1, 12_811)
IMAGENET_10PCT = _subset(10, 128_116)
