"""What `caebench data check` shows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from caebench.datasets.base import Roots
from caebench.datasets.inspection import Inspection
from caebench.datasets.registry import PUBLISHED
from caebench.files.visible import visible
from caebench.planning.subsets import read_subset
from caebench.specs.inputs.dataset import RealData, Subset
from caebench.specs.site import Site
from caebench.specs.world import known_dataset


def name_sets(
    names: Sequence[str], site: Site, root: Path | None, is_subset: bool = False
) -> list[tuple[RealData, Roots]]:
    """Which data sets to check, each with the folders that it is read from; `is_subset` is of the one at `root`.

    Raises:
        ValueError: a name is unknown, no folder is named for it, or what should be a subset is the whole set.
    """
    for name in names:
        known_dataset(name)
    if root is not None:
        if len(names) != 1:
            raise ValueError(f"--root {root}: name exactly one data set with it. Known: {', '.join(PUBLISHED)}.")
        site = site.replace(data={**site.data, names[0]: {"root": root, "subset": is_subset}})
    elif is_subset:
        raise ValueError("--subset: it is of the folder that --root names. In a site file: [data.NAME] subset = true.")
    if not (names or site.data):
        raise ValueError("site file, [data]: no folder of a data set. Name it there, or give --root.")
    found = [RealData(kind="real", name=name) for name in names or site.data]
    folders = [data.roots(site.roots, {}) for data in found]  # all are named, before one is read
    return [(data.on_subsets(_subset(data.name, site)), roots) for data, roots in zip(found, folders, strict=True)]


def _subset(name: str, site: Site) -> dict[str, Subset]:
    return {name: read_subset(name, site)} if name in site.data and site.data[name].subset else {}


def report_facts(report: Inspection) -> dict[str, Any]:
    """A report in plain values."""
    plain = {name: getattr(report, name) for name in ("name", "ok", "counts", "notes", "fingerprint")}
    return {**plain, "root": str(report.root), "problems": [vars(problem) for problem in report.problems]}


def print_report(report: Inspection) -> None:
    """A report in lines: where, what, what to do."""
    facts = [f"{number:,} {split}" for split, number in report.counts.items()]
    facts += [f"fingerprint {report.fingerprint}"] if report.fingerprint else []
    lines = [": ".join([report.name, ", ".join(["ok" if report.ok else "NOT OK", *facts, str(report.root)])])]
    lines += [*(f"  {problem}" for problem in report.problems), *(f"  note: {note}" for note in report.notes)]
    print(visible("\n".join(lines)))
