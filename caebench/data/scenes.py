"""ADE20K as training reads it: pairs of image and label map, and the names of the classes; checked before use."""

from dataclasses import dataclass
from pathlib import Path

from caebench.config.data import Data, RealData, Split
from caebench.config.site import Roots
from caebench.data.check_scenes import ADE20K_FOLDERS, check_ade20k
from caebench.data.datasets import find_root
from caebench.data.errors import DataError
from caebench.data.facts import embedded_counts, facts_for
from caebench.data.inspection import Inspection
from caebench.data.listing import fingerprint

CLASSES = "objectInfo150.txt"  # one line a class after the header, tab-separated, the name last


@dataclass(frozen=True)
class SceneSplit:
    """One split of ADE20K."""

    root: Path
    images: str  # folders relative to the root
    label_maps: str
    classes: tuple[str, ...]
    fingerprint: str


def open_scenes(data: Data, split: Split, roots: Roots, world: Path | None) -> SceneSplit:
    """Check layout and counts of ADE20K without opening an image, and describe a split.

    Raises:
        DataError: something is missing, or it is another ADE20K.
    """
    root = find_root(data, roots, world)
    expected = None if isinstance(data, RealData) else embedded_counts(data.name, data.world)
    facts = facts_for(data.name, expected)
    if not root.is_dir():
        raise DataError(root, "no such folder, wanted as the root of ade20k", facts.source)
    inspection = Inspection(root, facts, decode=False)
    _, marks = check_ade20k(inspection)
    for problem in inspection.problems():
        raise DataError(problem.where, problem.what, problem.do)
    folder = ADE20K_FOLDERS[split]
    of_split = [mark for mark in marks if mark[0].startswith(f"images/{folder}/")]
    classes = read_classes(root / CLASSES, facts.classes)
    return SceneSplit(root, f"images/{folder}", f"annotations/{folder}", classes, fingerprint(of_split))


def read_classes(path: Path, num_classes: int) -> tuple[str, ...]:
    """The names of the classes, in the order of their labels.

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
