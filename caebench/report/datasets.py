"""What `caebench data check` shows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from caebench.datasets.base import Roots
from caebench.datasets.inspection import Inspection
from caebench.datasets.registry import PUBLISHED
from caebench.files.visible import visible
from caebench.specs.inputs.dataset import RealData
from caebench.specs.world import known_dataset


def name_sets(names: Sequence[str], named: Roots, root: Path | None) -> list[tuple[RealData, Roots]]:
    """Which data sets to check, each with the folders that it is read from.

    Raises:
        ValueError: a name is unknown, or no folder is named for it.
    """
    for name in names:
        known_dataset(name)
    if root is not None:
        if len(names) != 1:
            raise ValueError(f"--root {root}: name exactly one data set with it. Known: {', '.join(PUBLISHED)}.")
        named = {**named, names[0]: root}
    if not (names or named):
        raise ValueError("site file, [data]: no folder of a data set. Name it there, or give --root.")
    found = [RealData(kind="real", name=name) for name in names or named]
    return [(data, data.roots(named, {})) for data in found]


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
