"""ImageNet-1k (ILSVRC 2012, arXiv 1409.0575): a folder a class, in `train` and in `val`."""

import hashlib
import os
import re
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from caebench.datasets.differences import differing
from caebench.datasets.errors import DataError
from caebench.datasets.images import ImageDataset, in_folders, is_image
from caebench.datasets.inspection import Inspection, is_hidden
from caebench.datasets.splits import SPLITS, Entry, Size, Split
from caebench.datasets.synthetic.canvas import Canvas
from caebench.datasets.synthetic.rendering import draw_object

SORT_VAL = (
    "Move each image into val/<wnid>/: ILSVRC2012_validation_ground_truth.txt and meta.mat of "
    "ILSVRC2012_devkit_t12.tar.gz name its class (torchvision.datasets.ImageNet does it from the two archives)"
)
WNIDS_DIGEST = "385e0240499426c0"  # of the 1000 published class folders


class ImageNet(ImageDataset):
    """ImageFolder's layout: classes by name, then folders and files by name."""

    def listed_in(self, split: Split) -> str:
        return split

    def entries(self, root: Path, split: Split, size: Size) -> list[Entry]:
        folder = root / split
        if not folder.is_dir():
            raise DataError(folder, f"no {split}/ folder, where the class folders should be", self.source)
        classes = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not is_hidden(entry.name))
        if not classes:
            raise self._no_classes(folder, split)
        return in_folders(root, (folder / name for name in classes), "Unpack its archive again, or remove it")

    def _no_classes(self, folder: Path, split: Split) -> DataError:
        """Say which of the usual half-way states an unsorted folder is in."""
        names = [entry.name for entry in os.scandir(folder)]
        num_images, num_archives = sum(map(is_image, names)), sum(name.endswith(".tar") for name in names)
        if num_images:
            do = SORT_VAL if split == "val" else "Unpack each class's archive into a folder of its own"
            return DataError(folder, f"{num_images:,} images lie here unsorted, expected one folder a class", do)
        if num_archives:
            do = "Unpack each nXXXXXXXX.tar into a folder of that name"
            return DataError(folder, f"{num_archives:,} archives, expected one folder a class", do)
        return DataError(folder, "an empty folder, expected one folder a class", self.source)

    def _check_classes(self, inspection: Inspection) -> None:
        """The published names, too: ImageNet-V2's numbers and ReaL's labels go by their order."""
        super()._check_classes(inspection)
        if self.published is None:  # only rendered, in the same layout
            return
        names = {path.split("/")[1] for listed in inspection.lists.values() for path, _ in listed}
        do = f"Name each class folder by its WordNet id, as in the archives. {self.source}"
        for name in sorted(name for name in names if not re.fullmatch(r"n\d{8}", name)):
            inspection.add("class names", inspection.root, f"class folder {name!r}, expected n and eight digits", do)
        if inspection.size.num_classes == SIZE.num_classes and digest_of(names) != WNIDS_DIGEST:
            which = differing(names, published_names())
            inspection.add("classes", inspection.root, f"not the class folders of ImageNet-1k: {which}", do)

    def render(self, canvas: Canvas) -> None:
        """A digit on a photograph, the classes in turn."""
        for split in SPLITS:
            for index, rng in canvas.pictures(split):
                pixels = draw_object(rng, split, index % 10, canvas.amount.pixels)
                canvas.draw(f"{split}/{rendered_name(split, index)}", pixels)


def published_names() -> set[str]:
    """The 1000 class folders, from a file of timm's, which is not imported: it would import torch."""
    timm = find_spec("timm")
    assert timm is not None and timm.origin is not None, "caebench depends on it"
    return set(Path(timm.origin).with_name("data").joinpath("_info", "imagenet_synsets.txt").read_text().split())


def digest_of(names: Iterable[str]) -> str:
    """Of a set of class folders: 16 hexadecimal digits."""
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()[:16]


def rendered_name(split: Split, index: int) -> str:
    """Class folder and file of a rendered picture, as ImageNet's are called; its class is the index's last digit."""
    wnid = f"n{index % 10:08d}"
    return f"{wnid}/{wnid}_{index}.JPEG" if split == "train" else f"{wnid}/ILSVRC2012_val_{index + 1:08d}.JPEG"


SIZE = Size(1000, 1_281_167, 50_000)
IMAGENET1K = ImageNet(
    name="imagenet1k",
    published=SIZE,
    layout="the folder that holds train/ and val/",
    marks=("train/*/*", "val/*/*"),
    source="Get ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar from image-net.org",
    folder="imagenet",
    purpose=1,
    num_rendered_classes=10,
)
