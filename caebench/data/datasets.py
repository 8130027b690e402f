"""Image splits as lists of files, from the real layouts; the embedded world is read by the same code."""

from dataclasses import dataclass
from pathlib import Path

from caebench.config.data import Data, EmbeddedName, RealData, Split
from caebench.config.site import Roots
from caebench.data.errors import DataError
from caebench.data.listing import fingerprint, list_split

WORLD = "world"  # the folder of the rendered files inside the job's
# Where each layout lies in the embedded world.
EMBEDDED_FOLDERS: dict[EmbeddedName, str] = {
    "imagenet1k": "imagenet",
    "food101": ".",
    "clipart": "domainnet",
    "sketch": "domainnet",
    "ade20k": "ADEChallengeData2016",
    "coco": "coco",
    "broad": "broad",
}


@dataclass(frozen=True)
class ImageSplit:
    """One split: (path below the root, label) in the order that torchvision's loaders have."""

    root: Path
    entries: list[tuple[str, int]]
    fingerprint: str


def find_root(data: Data, roots: Roots, world: Path | None) -> Path:
    """The folder of a data set: named by the site, or inside the finished job of the embedded world.

    Raises:
        DataError: the site file names no such root.
    """
    if not isinstance(data, RealData):
        assert world is not None, "the plan gives every job on embedded data the job that renders them"
        return world / WORLD / EMBEDDED_FOLDERS[data.name]
    root: Path | None = getattr(roots, data.name)
    if root is None:
        raise DataError(f"site file, [data] {data.name}", "not set", "Name the folder of the data set there.")
    return root


def open_split(data: Data, split: Split, roots: Roots, world: Path | None) -> ImageSplit:
    """List one split of a data set."""
    root = find_root(data, roots, world)
    entries = list_split(data.name, root, split)
    return ImageSplit(root, entries, fingerprint(entries))
