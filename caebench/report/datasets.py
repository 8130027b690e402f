"""What `caebench data check` shows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from caebench.config.site import Roots
from caebench.data.check import Report

NAMES = tuple(Roots.model_fields)


def name_roots(names: Sequence[str], roots: Roots, root: Path | None) -> dict[str, Path]:
    """Which folders to check.

    Raises:
        ValueError: a name is unknown, or no folder is named for it.
    """
    for name in names:
        if name not in NAMES:
            raise ValueError(f"data set '{name}': unknown. Known: {', '.join(NAMES)}.")
    if root is not None:
        if len(names) != 1:
            raise ValueError(f"--root {root}: name exactly one data set with it. Known: {', '.join(NAMES)}.")
        return {names[0]: root}
    named = {name: path for name, path in roots if path is not None}
    missing = [name for name in names if name not in named]
    if missing or not named:
        what = ", ".join(missing) or "none"
        raise ValueError(f"site file, [data]: no folder for {what}. Name it there, or give --root.")
    return {name: named[name] for name in names or named}


def report_facts(report: Report) -> dict[str, Any]:
    """A report in plain values."""
    return {
        "name": report.name,
        "root": str(report.root),
        "ok": report.ok,
        "counts": dict(report.counts),
        "problems": [{"where": str(p.where), "what": p.what, "do": p.do} for p in report.problems],
        "notes": list(report.notes),
        "fingerprint": report.fingerprint,
    }


def print_report(report: Report) -> None:
    """A report in lines: where, what, what to do."""
    facts = [f"{number:,} {split}" for split, number in report.counts.items()]
    facts += [f"fingerprint {report.fingerprint}"] if report.fingerprint else []
    print(": ".join([report.name, ", ".join(["ok" if report.ok else "NOT OK", *facts, str(report.root)])]))
    for problem in report.problems:
        print(f"  {problem.where}: {problem.what}. {problem.do}")
    for note in report.notes:
        print(f"  note: {note}")
