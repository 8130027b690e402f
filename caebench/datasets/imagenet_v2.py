"""ImageNet-V2, matched frequency (arXiv 1902.10811): other validation images for ImageNet's classes."""

from pathlib import Path

from caebench.datasets.differences import differing
from caebench.datasets.errors import DataError
from caebench.datasets.imagenet1k import IMAGENET1K, SIZE
from caebench.datasets.images import ImageDataset, in_folders
from caebench.datasets.inspection import is_hidden
from caebench.datasets.splits import Entry, Size, Split
from caebench.datasets.synthetic.canvas import Canvas
from caebench.datasets.synthetic.rendering import draw_object


class ImageNetV2(ImageDataset):
    """A folder a class, named by its number; trained on are ImageNet's images.

    Sorted as text, as ImageFolder does, `10` would come before `2` and most labels would be wrong.
    """

    def listed_in(self, split: Split) -> str:
        return "."

    def entries(self, root: Path, split: Split, size: Size) -> list[Entry]:
        names = {path.name for path in root.glob("*") if path.is_dir() and not is_hidden(path.name)}
        if difference := differing(names, {str(number) for number in range(size.num_classes)}):
            what = f"expected the folders 0 to {size.num_classes - 1}: {difference}"
            raise DataError(root, what, f"{self.source}, and name the folder that holds these.")
        return in_folders(root, (root / str(number) for number in range(size.num_classes)), self.source)

    def render(self, canvas: Canvas) -> None:
        """More pictures like ImageNet's."""
        for index, rng in canvas.pictures("val"):
            canvas.draw(f"{index % 10}/{index}.jpeg", draw_object(rng, "val", index % 10, canvas.amount.pixels))


IMAGENET_V2 = ImageNetV2(
    name="imagenet_v2",
    published=SIZE._replace(val=10_000),
    layout="the folder that holds the folders 0 to 999",
    marks=("0/*",),
    source="Get imagenetv2-matched-frequency.tar.gz (modestyachts/ImageNetV2)",
    folder="imagenetv2",
    purpose=15,
    num_rendered_classes=10,
    reads=(IMAGENET1K,),
    borrows=("train",),
    rendered_splits=("val",),
)
