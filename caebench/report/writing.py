"""A suite's report as files, one per format, named by suite and scale, in a folder that the user names.

A table is not replaced by one with fewer numbers or by another suite's without --force.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from caebench.files.atomic import read_json, write_text
from caebench.report.facts import claim_facts, comma_separated, facts
from caebench.report.latex import latex
from caebench.report.render import markdown
from caebench.report.reports import Reports
from caebench.suites.suite import Suite

SUFFIXES = {"md": ".md", "csv": ".csv", "tex": ".tex", "json": ".json"}
Cell = tuple[str, str]  # row, column


def report_facts(reports: Reports, suite: Suite) -> dict[str, Any]:
    """A suite's report in plain values."""
    return {
        "suite": suite.name,
        "definition": definition(suite),
        "title": suite.title,
        "table": suite.table,
        "scale": reports.scale.name,
        "subsets": {name: subset.model_dump() for name, subset in reports.plan(suite).subsets.items()},
        "cells": facts(reports.rows(suite)),
        "claims": claim_facts(reports.claims(suite)),
        "notes": reports.document(suite).notes,
    }


def definition(suite: Suite) -> str:
    """Eight digits of a hash of a suite's content: they distinguish two suites of the same name."""
    content = suite.model_dump(mode="json", exclude={"path"}, exclude_defaults=True)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]


def rendered(reports: Reports, suite: Suite, format: str) -> str:
    """A suite's report in a format."""
    match format:
        case "md":
            return markdown(reports.document(suite))
        case "csv":
            return comma_separated(reports.rows(suite))
        case "tex":
            return latex(reports.document(suite))
        case _:
            return json.dumps(report_facts(reports, suite), indent=2) + "\n"


def write_reports(reports: Reports, suites: Sequence[Suite], folder: Path, force: bool = False) -> list[Path]:
    """Write every suite in every format, each file atomically; returns the files without their endings.

    Raises:
        ValueError: an existing table has more numbers, or is another suite's; then nothing is written.
    """
    if not force:
        for suite in suites:
            _check_replaceable(reports, suite, _stem(reports, suite, folder))
    folder.mkdir(parents=True, exist_ok=True)
    stems = [_stem(reports, suite, folder) for suite in suites]
    for suite, stem in zip(suites, stems, strict=True):
        for format, suffix in SUFFIXES.items():
            write_text(stem.with_name(stem.name + suffix), rendered(reports, suite, format))
    return stems


def _stem(reports: Reports, suite: Suite, folder: Path) -> Path:
    """A subset's table has a file of its own."""
    subsets = reports.plan(suite).subsets.items()
    parts = (f"-{name}_{subset.fingerprint[:8]}" for name, subset in subsets)
    return folder / "".join((f"{suite.name}-{reports.scale.name}", *parts))


def _check_replaceable(reports: Reports, suite: Suite, stem: Path) -> None:
    """Check that writing loses no numbers.

    Raises:
        ValueError: the existing table is another suite's, or has numbers that this one lacks, or cannot be read.
    """
    path = stem.with_name(stem.name + SUFFIXES["json"])
    if not any(stem.with_name(stem.name + suffix).exists() for suffix in SUFFIXES.values()):
        return
    do = "Nothing was written. Name another folder with --out, or add --force."
    try:
        before = read_json(path, do.rstrip("."))
    except OSError as error:
        raise ValueError(f"{path}: the existing table cannot be read ({error}). {do}") from error
    try:
        existing = {_cell(fact): int(fact["n"]) for fact in before["cells"]}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: the existing table cannot be read ({error!r}). {do}") from error
    if before.get("definition", definition(suite)) != definition(suite):
        raise ValueError(f"{path}: the existing table is of another suite '{suite.name}' than {suite.path}. {do}")
    found = {_cell(fact): int(fact["n"]) for fact in facts(reports.rows(suite))}
    lost = {cell: n - found.get(cell, 0) for cell, n in existing.items() if n > found.get(cell, 0)}
    if lost:
        row, column = next(iter(lost))
        here = f"{sum(existing.values())} numbers, and {sum(lost.values())} of them are not in the new one"
        raise ValueError(f"{path}: the existing table has {here} (first: {row}/{column}). {do}")


def _cell(fact: dict[str, Any]) -> Cell:
    return str(fact["row_id"] or fact["row"]), str(fact["column"])
