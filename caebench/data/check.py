"""Check a data set on disk against what its publisher says of it, before a cluster trains on it for a week.

Classification sets are checked here, through the same lists the training reads; ADE20K and COCO in `check_scenes`.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import get_args

from caebench.config.data import DatasetName, Split
from caebench.data.check_scenes import check_ade20k, check_coco
from caebench.data.errors import DataError
from caebench.data.facts import Facts, facts_for
from caebench.data.findings import Findings, Problem, Progress, Report, decode_all
from caebench.data.listing import LIST_NAMES, Entry, fingerprint, list_split

__all__ = ["Problem", "Report", "check", "fingerprint", "list_split"]

SPLITS: tuple[Split, ...] = ("train", "val")
Lists = dict[Split, list[Entry]]


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
    facts = facts_for(name, expected)
    findings = Findings()
    counts: dict[str, int] = {}
    entries: Iterable[tuple[str, int | str]] = ()
    if not root.is_dir():
        findings.add("root", root, f"no such folder, wanted as the root of {name}", f"{facts.source}, or correct the site file")
    elif name == "ade20k":
        counts, entries = check_ade20k(root, facts, findings, decode, progress)
    elif name == "coco":
        counts, entries = check_coco(root, facts, findings, decode, progress)
    else:
        counts, entries = _check_listed(_dataset_name(name), root, facts, findings, decode, progress)
    entries = list(entries)
    mark = fingerprint(entries) if entries else ""
    return Report(name, root, counts, findings.problems(), findings.all_notes(), mark)


def _dataset_name(name: str) -> DatasetName:
    """The same name, known to be one of those that `list_split` reads."""
    return next(known for known in get_args(DatasetName) if known == name)


def _check_listed(
    name: DatasetName, root: Path, facts: Facts, findings: Findings, decode: bool, progress: Progress | None
) -> tuple[dict[str, int], list[Entry]]:
    lists: Lists = {}
    for split in SPLITS:
        try:
            lists[split] = list_split(name, root, split)
        except DataError as error:
            if not any(problem.where == str(error.where) for problem in findings.problems()):
                findings.add_error(error)
    for split, entries in lists.items():
        check_count(findings, root, split, len(entries), facts)
    _check_classes(name, root, lists, facts, findings)
    _check_overlap(name, root, lists, facts, findings)
    _check_files(name, root, lists, facts, findings, decode, progress)
    return {split: len(entries) for split, entries in lists.items()}, [e for entries in lists.values() for e in entries]


def check_count(findings: Findings, root: Path, split: Split, found: int, facts: Facts) -> None:
    """Compare the number of images of a split with the published one."""
    wanted = facts.train if split == "train" else facts.val
    if found != wanted:
        what = f"{split} has {found:,} images, expected {wanted:,}"
        findings.add(f"count of {split}", root, what, f"Unpack the archives again. {facts.source}")


def _class_folder(entry: Entry) -> str:
    return entry[0].rsplit("/", 2)[-2]


def _check_classes(name: DatasetName, root: Path, lists: Lists, facts: Facts, findings: Findings) -> None:
    """The same class folders in both splits, as many as published, one label each."""
    of_split = {split: {_class_folder(entry) for entry in entries} for split, entries in lists.items()}
    if not of_split:
        return
    together = set[str]().union(*of_split.values())
    if len(together) != facts.classes:
        what = f"{len(together):,} classes, expected {facts.classes:,}"
        findings.add("number of classes", root, what, f"Unpack the archives again. {facts.source}")
    for split, classes in of_split.items():
        for missing in sorted(together - classes):
            what = f"no class {missing!r} in {split}, though the other split has it"
            findings.add("classes of one split", root, what, f"Unpack the archives again. {facts.source}")
    if all(classes == together for classes in of_split.values()):
        _check_labels(name, root, lists, facts, findings)


def _check_labels(name: DatasetName, root: Path, lists: Lists, facts: Facts, findings: Findings) -> None:
    labels: dict[str, int] = {}
    do = f"Get the list again. {facts.source}"
    for split, entries in lists.items():
        where = root if name in ("imagenet1k", "food101") else root / f"{name}_{LIST_NAMES[split]}.txt"
        for entry in entries:
            path, label = entry
            if not 0 <= label < facts.classes:
                what = f"label {label} of {path}, expected 0 to {facts.classes - 1}"
                findings.add("labels out of range", where, what, do)
            elif labels.setdefault(_class_folder(entry), label) != label:
                what = f"label {label} of {path}, where its class has label {labels[_class_folder(entry)]} elsewhere"
                findings.add("contradictory labels", where, what, do)


def _check_overlap(name: DatasetName, root: Path, lists: Lists, facts: Facts, findings: Findings) -> None:
    if name == "imagenet1k" or len(lists) < 2:
        return  # ImageNet's splits are two folders
    for path in sorted({path for path, _ in lists["train"]} & {path for path, _ in lists["val"]}):
        findings.add("in both lists", root / path, "listed for training and for testing", f"Get the lists again. {facts.source}")


def _check_files(
    name: DatasetName,
    root: Path,
    lists: Lists,
    facts: Facts,
    findings: Findings,
    decode: bool,
    progress: Progress | None,
) -> None:
    paths = [root / path for entries in lists.values() for path, _ in entries]
    if name != "imagenet1k":  # whose list is the folder itself
        paths = existing(paths, "listed", facts, findings)
    if not decode:
        return
    for path, decoded in decode_all(paths, ticker(len(paths), progress)):
        if decoded.error:
            add_unreadable(findings, path, decoded.error, facts)
        else:
            findings.modes[decoded.mode] += 1
