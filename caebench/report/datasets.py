"""What `caebench data check` shows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from caebench.datasets.base import Roots
from caebench.datasets.errors import DataError
from caebench.datasets.inspection import Inspection
from caebench.datasets.registry import PUBLISHED
from caebench.datasets.splits import Size
from caebench.planning.site_data import data_on
from caebench.specs.inputs.dataset import OwnData, RealData
from caebench.specs.site import Site
from caebench.specs.world import known_dataset


def check_sets(
    names: Sequence[str], site: Site, root: Path | None, is_subset: bool = False, decode: bool = True
) -> list[Inspection]:
    """A report on each data set; `is_subset` is of the one at `root`.

    Raises:
        ValueError: a name is unknown, no folder is named for it, or what should be a subset is the whole set.
    """
    site, found = _named(names, site, root, is_subset)
    folders = [data.roots(site.roots, {}) for data in found]  # all are named, before one is read
    return [_check_set(data, site, roots, decode) for data, roots in zip(found, folders, strict=True)]


def _named(
    names: Sequence[str], site: Site, root: Path | None, is_subset: bool
) -> tuple[Site, list[RealData | OwnData]]:
    for name in names:
        known_dataset(name, {**PUBLISHED, **site.data})
    if root is not None:
        if len(names) != 1:
            raise ValueError(f"--root {root}: name exactly one data set with it. Known: {', '.join(PUBLISHED)}.")
        if is_subset and (whole := PUBLISHED[names[0]].reads):
            raise ValueError(f"--subset: {names[0]} goes with the whole {whole[0].name}. Leave it out.")
        site = site.replace(data={**site.data, names[0]: {"root": root, "subset": is_subset}})
    elif is_subset:
        raise ValueError("--subset: it is of the folder that --root names. In a site file: [data.NAME] subset = true.")
    if not (names or site.data):
        raise ValueError("site file, [data]: no folder of a data set. Name it there, or give --root.")
    return site, [_unread(name, site) for name in names or site.data]


def _check_set(data: RealData | OwnData, site: Site, roots: Roots, decode: bool) -> Inspection:
    """A set compared with what is published, or with its own lists where it is a subset."""
    try:
        return data.dataset.check(roots, data_on(site, data.name).size, decode=decode)
    except DataError as error:  # a subset or a user's own that cannot be listed
        report = Inspection(data.dataset, roots, Size(0, 0, 0), decode)
        report.add_error(error)
        return report


def _unread(name: str, site: Site) -> RealData | OwnData:
    """A data set of a site, before its folder is read."""
    layout = site.data[name].layout if name in site.data else None
    return RealData(kind="real", name=name) if layout is None else OwnData(kind="own", name=name, layout=layout)


def report_facts(report: Inspection) -> dict[str, Any]:
    """A report in plain values."""
    plain = {name: getattr(report, name) for name in ("name", "ok", "counts", "notes", "fingerprint")}
    return {**plain, "root": str(report.root), "problems": [vars(problem) for problem in report.problems]}


def report_lines(report: Inspection) -> list[str]:
    """A report in lines: where, what, what to do."""
    facts = [f"{number:,} {split}" for split, number in report.counts.items()]
    facts += [f"fingerprint {report.fingerprint}"] if report.fingerprint else []
    lines = [": ".join([report.name, ", ".join(["ok" if report.ok else "NOT OK", *facts, str(report.root)])])]
    return [*lines, *(f"  {problem}" for problem in report.problems), *(f"  note: {note}" for note in report.notes)]
