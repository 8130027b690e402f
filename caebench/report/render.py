"""A table as text: Markdown, CSV, JSON. nano and lab say so in the title, and never show a gap to the paper."""

import csv
import io
from typing import Any

from caebench.plan.graph import Plan
from caebench.report.table import Entry

Rows = list[list[Entry]]


def title(plan: Plan, num_seeds: int) -> str:
    """The table's headline, with its scale."""
    source = plan.table.source
    number = f"Table {source.table}: " if source.table else ""
    seeds = f", {num_seeds} seeds" if num_seeds > 1 else ""
    return f"{number}{source.title} [{plan.scale.name.upper()} scale{seeds}]"


def notes(plan: Plan, rows: Rows) -> list[str]:
    """What must be said under the table."""
    lines: list[str] = []
    if plan.scale.name != "paper":
        lines.append(
            f"{plan.scale.name.upper()}: embedded data and small encoders. It shows that the chain works; "
            "compare rows, not with the paper."
        )
    cells = [entry for row in rows for entry in row]
    if any(entry.published for entry in cells):
        lines.append("In parentheses: the paper's number at its own scale; n/f: looked for and not found.")
    if any(entry.spread is not None for entry in cells):
        lines.append("Mean +- sample standard deviation over seeds; [n of m]: only n of m seeds are done.")
    return [*lines, *plan.table.notes, *_column_notes(plan), *_rate_notes(plan, rows)]


def _column_notes(plan: Plan) -> list[str]:
    return [f"{column.header}: {column.note}" for column in plan.table.columns.values() if column.note]


def _rate_notes(plan: Plan, rows: Rows) -> list[str]:
    """What each learning rate gave, a line a row and column: the best is in the table, so the others are here."""
    return [
        f"{column.header}, {row.label}, by learning rate: "
        + ", ".join(f"{value:.1f} at {rate:g}" for rate, value in entry.rates.items())
        for row, found in zip(plan.table.rows, rows, strict=True)
        for column, entry in zip(plan.table.columns.values(), found, strict=True)
        if entry.rates
    ]


def header(plan: Plan) -> list[str]:
    """Column headings."""
    return ["", *(column.header for column in plan.table.columns.values())]


def lines(plan: Plan, rows: Rows) -> list[list[str]]:
    """Row labels and cell texts."""
    labels = [row.label for row in plan.table.rows]
    return [[label, *(entry.text() for entry in row)] for label, row in zip(labels, rows, strict=True)]


def markdown(plan: Plan, rows: Rows, num_seeds: int) -> str:
    """A Markdown table with headline and notes."""
    head = header(plan)
    body = [head, ["---", *["---:"] * (len(head) - 1)], *lines(plan, rows)]
    table = "\n".join("| " + " | ".join(line) + " |" for line in body)
    return f"**{title(plan, num_seeds)}**\n\n{table}\n\n" + "\n".join(f"- {note}" for note in notes(plan, rows)) + "\n"


def comma_separated(plan: Plan, rows: Rows) -> str:
    """One line a cell, numbers unrounded."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ["row", "column", "state", "mean", "spread", "n", "published"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {key: value for key, value in fact.items() if key not in ("values", "rates")} for fact in facts(plan, rows)
    )
    return text.getvalue()


def facts(plan: Plan, rows: Rows) -> list[dict[str, Any]]:
    """The cells in plain values."""
    return [
        {
            "row": row.label,
            "column": column.header,
            "state": entry.state,
            "mean": entry.mean,
            "spread": entry.spread,
            "n": len(entry.values),
            "values": list(entry.values),
            "rates": {f"{rate:g}": value for rate, value in entry.rates.items()},
            "published": entry.published.value if entry.published else None,
        }
        for row, found in zip(plan.table.rows, rows, strict=True)
        for column, entry in zip(plan.table.columns.values(), found, strict=True)
    ]
