"""A suite's report as files, one per format, under the suite's name and scale, in a folder that the user names.

A table is never replaced by an emptier one or by another suite's, unless the user insists.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from caebench.report.facts import claim_facts, comma_separated, facts
from caebench.report.latex import latex
from caebench.report.render import markdown
from caebench.report.reports import Reports
from caebench.suites import Table

SUFFIXES = {"md": ".md", "csv": ".csv", "tex": ".tex", "json": ".json"}
Cell = tuple[str, str]  # row, column


def report_facts(reports: Reports, table: Table) -> dict[str, Any]:
    """A suite's report in plain values."""
    return {
        "suite": table.name,
        "definition": definition(table),
        "title": table.source.title,
        "table": table.source.table,
        "scale": reports.scale.name,
        "cells": facts(reports.rows(table)),
        "claims": claim_facts(reports.claims(table)),
        "notes": reports.document(table).notes,
    }


def definition(table: Table) -> str:
    """Eight digits of what a suite's file says: they tell two suites of one name apart."""
    content = table.model_dump(mode="json", exclude={"path"}, exclude_defaults=True)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]


def rendered(reports: Reports, table: Table, format: str) -> str:
    """A suite's report in a format."""
    match format:
        case "md":
            return markdown(reports.document(table))
        case "csv":
            return comma_separated(reports.rows(table))
        case "tex":
            return latex(reports.document(table))
        case _:
            return json.dumps(report_facts(reports, table), indent=2) + "\n"


def write_reports(reports: Reports, tables: Sequence[Table], folder: Path, force: bool = False) -> list[Path]:
    """Write every suite in every format, each file atomically; returns the files without their endings.

    Raises:
        ValueError: a table that is there is fuller, or another suite's; then nothing is written.
    """
    if not force:
        for table in tables:
            _check_replaceable(reports, table, _stem(reports, table, folder))
    folder.mkdir(parents=True, exist_ok=True)
    stems = [_stem(reports, table, folder) for table in tables]
    for table, stem in zip(tables, stems, strict=True):
        for format, suffix in SUFFIXES.items():
            _write(stem.with_name(stem.name + suffix), rendered(reports, table, format))
    return stems


def _stem(reports: Reports, table: Table, folder: Path) -> Path:
    return folder / f"{table.name}-{reports.scale.name}"


def _write(path: Path, content: str) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(content, encoding="utf8")
    partial.replace(path)


def _check_replaceable(reports: Reports, table: Table, stem: Path) -> None:
    """Refuse to lose numbers.

    Raises:
        ValueError: what is there is another suite's, or has numbers that this table lacks, or cannot be read.
    """
    path = stem.with_name(stem.name + SUFFIXES["json"])
    if not any(stem.with_name(stem.name + suffix).exists() for suffix in SUFFIXES.values()):
        return
    do = "Nothing was written. Name another folder with --out, or add --force."
    try:
        before = json.loads(path.read_text(encoding="utf8"))
        held = {_cell(fact): int(fact["n"]) for fact in before["cells"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: cannot tell what the table there holds ({error}). {do}") from error
    if before.get("definition", definition(table)) != definition(table):
        raise ValueError(f"{path}: is the table of another suite '{table.name}' than {table.path}. {do}")
    having = {_cell(fact): int(fact["n"]) for fact in facts(reports.rows(table))}
    lost = {cell: n - having.get(cell, 0) for cell, n in held.items() if n > having.get(cell, 0)}
    if lost:
        row, column = next(iter(lost))
        here = f"{sum(held.values())} numbers, and {sum(lost.values())} of them are not in this one"
        raise ValueError(f"{path}: the table there has {here} (first: {row}/{column}). {do}")


def _cell(fact: dict[str, Any]) -> Cell:
    return str(fact["row_id"] or fact["row"]), str(fact["column"])
