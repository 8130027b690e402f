"""Data sets with labels below the image: the whole set is checked before a split of it is used."""

from abc import abstractmethod
from pathlib import Path

from caebench.datasets.base import Dataset, Roots
from caebench.datasets.splits import SceneSplit, Size, Split, fingerprint


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

    def read(self, roots: Roots, split: Split, size: Size) -> SceneSplit:
        inspection = self.check(roots, size, decode=False)
        for problem in inspection.problems:
            raise problem
        root, (images, labels) = roots[self.name], self.places(split)
        of_split = [mark for mark in inspection.marks if mark[0].startswith(f"{images}/")]
        return SceneSplit(root, images, labels, self.classes(root, split, size), fingerprint(of_split))
