"""An image folder: a folder a class, below a folder a split or at the root."""

import os
from pathlib import Path

from caebench.datasets.errors import DataError
from caebench.datasets.images import images_below
from caebench.datasets.inspection import is_hidden
from caebench.datasets.own.images import Named, OwnImages
from caebench.datasets.splits import Split


class ImageFolder(OwnImages):
    """ImageFolder's layout, as torchvision reads it: classes by name, then folders and files by name."""

    def listed_in(self, split: Split) -> str:
        return "."

    def found(self, root: Path, split: Split) -> list[Named] | None:
        folder = self._folder(root, split)
        return None if folder is None else self._in_classes(root, folder)

    def _folder(self, root: Path, split: Split) -> Path | None:
        """The folder of a split: the root itself where no folder is called after a split."""
        if not root.is_dir():
            raise DataError(root, "a file, expected a folder", self.source)
        for name in self.form.candidates(split):
            if (root / name).is_dir():
                return root / name
        if named := self.form.named(split):
            raise DataError(root / named, f"no such folder, named as `{split}`", self.source)
        return None if split == "val" else self._undivided(root)

    def _undivided(self, root: Path) -> Path:
        if val := next((name for name in self.form.candidates("val") if (root / name).is_dir()), None):
            what = f"a folder {val}/, and none of {', '.join(self.form.candidates('train'))}"
            raise DataError(root, what, f"Give `train` the name of the training folder. {self.source}")
        return root

    def _in_classes(self, root: Path, folder: Path) -> list[Named]:
        classes = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not is_hidden(entry.name))
        if not classes:
            loose = images_below(folder)
            what = f"{len(loose):,} images that lie in no folder of a class" if loose else "an empty folder"
            raise DataError(folder, f"{what}, expected a folder a class", self.source)
        images: list[Named] = []
        for name in classes:
            if not (below := images_below(folder / name)):
                raise DataError(folder / name, "a class folder without images", f"Remove it. {self.source}")
            images += [Named(path.relative_to(root).as_posix(), name) for path in below]
        return images
