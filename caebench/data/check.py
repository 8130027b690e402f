"""Check a data set on disk against what its publisher says of it, before a cluster trains on it for a week.

Classification sets are checked here, through the same lists the training reads; ADE20K and COCO in `check_scenes`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from caebench.config.data import DatasetName, Split
from caebench.data.check_scenes import check_ade20k, check_coco
from caebench.data.errors import DataError
from caebench.data.facts import facts_for
from caebench.data.inspection import Inspection, Problem, Progress
from caebench.data.listing import LIST_NAMES, Entry, fingerprint, list_split

__all__ = ["Problem", "Report", "check", "fingerprint", "list_split"]

SPLITS: tuple[Split, ...] = ("train", "val")
LISTED: dict[str, DatasetName] = {
    "imagenet1k": "imagenet1k",
    "food101": "food101",
    "clipart": "clipart",
    "sketch": "sketch",
}
Lists = dict[Split, list[Entry]]


@dataclass(frozen=True)
class Report:
    """The outcome of a check. Notes are worth knowing and need no remedy."""

    name: str
    root: Path
    counts: dict[str, int]  # images of each split that could be listed
    problems: list[Problem]
    notes: list[str]
    fingerprint: str  # empty when nothing could be listed

    @property
    def ok(self) -> bool:
        """Whether the data set may be used."""
        return not self.problems


def check(
    name: str,
    root: Path,
    *,
    decode: bool = True,
    expected: Mapping[str, int] | None = None,
    progress: Progress | None = None,
) -> Report:
    """Verify layout, lists and counts of a data set; with `decode`, also every pixel of every image.

    `expected` replaces published counts: `train`, `val`, `classes`. Without `decode` no image file is opened.
    """
    inspection = Inspection(root, facts_for(name, expected), decode, progress)
    counts: dict[str, int] = {}
    entries: list[tuple[str, int | str]] = []
    if not root.is_dir():
        do = f"Name its folder in the site file. {inspection.facts.source}"
        inspection.add("root", root, f"no such folder, wanted as the root of {name}", do)
    elif name == "ade20k":
        counts, entries = check_ade20k(inspection)
    elif name == "coco":
        counts, entries = check_coco(inspection)
    else:
        lists = _check_listed(LISTED[name], inspection)
        counts = {split: len(listed) for split, listed in lists.items()}
        entries = [entry for listed in lists.values() for entry in listed]
    mark = fingerprint(entries) if entries else ""
    return Report(name, root, counts, inspection.problems(), inspection.all_notes(), mark)


def _check_listed(name: DatasetName, inspection: Inspection) -> Lists:
    lists: Lists = {}
    for split in SPLITS:
        try:
            lists[split] = list_split(name, inspection.root, split)
        except DataError as error:
            inspection.add_error(error)
        else:
            inspection.compare_count(split, len(lists[split]))
    if lists:
        _check_classes(name, lists, inspection)
        _check_files(name, lists, inspection)
    if name != "imagenet1k" and len(lists) == 2:  # ImageNet's splits are two folders
        _check_overlap(lists, inspection)
    return lists


def _class_folder(path: str) -> str:
    return path.rsplit("/", 2)[-2]


def _check_classes(name: DatasetName, lists: Lists, inspection: Inspection) -> None:
    """As many classes as published, the same in both splits, each with one label."""
    facts = inspection.facts
    do = f"Unpack the archives again. {facts.source}"
    of_split = {split: {_class_folder(path) for path, _ in entries} for split, entries in lists.items()}
    together = set[str]().union(*of_split.values())
    if len(together) != facts.classes:
        what = f"{len(together):,} classes, expected {facts.classes:,}"
        inspection.add("number of classes", inspection.root, what, do)
    lacking = [(split, absent) for split, classes in of_split.items() for absent in sorted(together - classes)]
    for split, absent in lacking:
        what = f"no class {absent!r} in {split}, though the other split has it"
        inspection.add("classes of one split", inspection.root, what, do)
    if not lacking:  # or every later label of a folder-sorted split would be off by one
        _check_labels(name, lists, inspection)


def _check_labels(name: DatasetName, lists: Lists, inspection: Inspection) -> None:
    num_classes, do = inspection.facts.classes, f"Get the lists again. {inspection.facts.source}"
    labels: dict[str, int] = {}
    for split, entries in lists.items():
        where = inspection.root / _list_name(name, split)
        for path, label in entries:
            usual = labels.setdefault(_class_folder(path), label)
            if not 0 <= label < num_classes:
                what = f"label {label} of {path}, expected 0 to {num_classes - 1}"
                inspection.add("labels out of range", where, what, do)
            elif label != usual:
                what = f"label {label} of {path}, whose class has label {usual} elsewhere"
                inspection.add("contradictory labels", where, what, do)


def _list_name(name: DatasetName, split: Split) -> str:
    """What says which images a split has, relative to the root."""
    if name == "imagenet1k":
        return split
    stem = LIST_NAMES[split]
    return f"food-101/meta/{stem}.json" if name == "food101" else f"{name}_{stem}.txt"


def _check_overlap(lists: Lists, inspection: Inspection) -> None:
    twice = {path for path, _ in lists["train"]} & {path for path, _ in lists["val"]}
    for path in sorted(twice):
        do = f"Get the lists again. {inspection.facts.source}"
        inspection.add("images in both lists", inspection.root / path, "listed for training and for testing", do)


def _check_files(name: DatasetName, lists: Lists, inspection: Inspection) -> None:
    paths: list[Path] = []
    for split, entries in lists.items():
        listed = [inspection.root / path for path, _ in entries]
        # ImageNet's list is the folder itself.
        paths += listed if name == "imagenet1k" else inspection.existing(listed, _list_name(name, split))
    if inspection.decode:
        for _, image in inspection.decoded(paths):
            inspection.modes[image.mode] += 1
