"""Data sets with labels below the image: the whole set is checked before a split of it is used."""

from abc import abstractmethod
from pathlib import Path

from caebench.datasets.base import Dataset, Roots
from caebench.datasets.splits import SPLITS, Measured, SceneSplit, Size, Split, fingerprint


class SceneDataset(Dataset):
    """Pictures with label maps, or with annotated objects."""

    @abstractmethod
    def places(self, split: Split) -> tuple[str, str]:
        """The folder of a split's pictures, and the folder or file of their labels, relative to the root."""

    @abstractmethod
    def classes(self, root: Path, split: Split, size: Size) -> tuple[str, ...]:
        """Their names, in the order of the labels.

        Raises:
            DataError: they are not as published.
        """

    def measure(self, roots: Roots) -> Measured:
        assert self.published is not None, "subsets are of published data sets"
        found = self.check(roots, self.published, decode=False)
        if len(found.counts) < len(SPLITS):  # a split could not be listed
            raise found.problems[0]
        num_classes = len(self.classes(roots[self.name], "train", self.published))
        return Measured(Size(num_classes, found.counts["train"], found.counts["val"]), found.fingerprint)

    def read(self, roots: Roots, split: Split, size: Size) -> SceneSplit:
        inspection = self.check(roots, size, decode=False)
        for problem in inspection.problems:
            raise problem
        root, (images, labels) = roots[self.name], self.places(split)
        of_split = [mark for mark in inspection.marks if mark[0].startswith(f"{images}/")]
        return SceneSplit(root, images, labels, self.classes(root, split, size), fingerprint(of_split))
