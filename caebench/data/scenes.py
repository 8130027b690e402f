"""ADE20K and COCO as training reads them: folders, labels and the names of the classes; checked before use."""

import json
from dataclasses import dataclass
from pathlib import Path

from caebench.config.data import Data, RealData, Split
from caebench.config.site import Roots
from caebench.data.check_scenes import ADE20K_FOLDERS, check_ade20k, check_coco
from caebench.data.datasets import find_root
from caebench.data.errors import DataError
from caebench.data.facts import embedded_counts, facts_for
from caebench.data.inspection import Inspection
from caebench.data.listing import fingerprint

CLASSES = "objectInfo150.txt"  # one line a class after the header, tab-separated, the name last


@dataclass(frozen=True)
class SceneSplit:
    """One split of ADE20K or COCO; paths are relative to the root."""

    root: Path
    images: str  # a folder
    labels: str  # a folder of label maps, or COCO's annotation file
    classes: tuple[str, ...]
    fingerprint: str


def open_scenes(data: Data, split: Split, roots: Roots, world: Path | None) -> SceneSplit:
    """Check layout, counts and annotations without opening an image, and describe a split.

    Raises:
        DataError: something is missing or wrong, or it is another ADE20K.
    """
    root = find_root(data, roots, world)
    expected = None if isinstance(data, RealData) else embedded_counts(data.name, data.world)
    facts = facts_for(data.name, expected)
    if not root.is_dir():
        raise DataError(root, f"no such folder, wanted as the root of {data.name}", facts.source)
    inspection = Inspection(root, facts, decode=False)
    _, marks = check_ade20k(inspection) if data.name == "ade20k" else check_coco(inspection)
    for problem in inspection.problems():
        raise DataError(problem.where, problem.what, problem.do)
    if data.name == "ade20k":
        folder = ADE20K_FOLDERS[split]
        images, labels = f"images/{folder}", f"annotations/{folder}"
        classes = read_classes(root / CLASSES, facts.classes)
    else:
        images, labels = f"{split}2017", f"annotations/instances_{split}2017.json"
        classes = _read_categories(root / labels)
    of_split = [mark for mark in marks if mark[0].startswith(f"{images}/")]
    return SceneSplit(root, images, labels, classes, fingerprint(of_split))


def read_classes(path: Path, num_classes: int) -> tuple[str, ...]:
    """The names of ADE20K's classes, in the order of their labels.

    Raises:
        DataError: the file is missing, or names another number of classes.
    """
    do = "Unpack ADEChallengeData2016.zip again"
    if not path.is_file():
        raise DataError(path, "no such file: it names the classes", do)
    lines = path.read_text(encoding="utf8").splitlines()[1:]
    names = tuple(line.rsplit("\t", 1)[-1].strip() for line in lines if line.strip())
    if len(names) != num_classes:
        raise DataError(path, f"{len(names)} classes, expected {num_classes}", do)
    return names


def _read_categories(path: Path) -> tuple[str, ...]:
    """COCO's categories by id, as pycocotools numbers them."""
    categories = json.loads(path.read_text(encoding="utf8"))["categories"]
    return tuple(str(category["name"]) for category in sorted(categories, key=lambda category: category["id"]))
