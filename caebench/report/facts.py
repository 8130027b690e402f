"""A table's cells and claims in plain values, and as CSV; a script reads these."""

import csv
import io
from collections.abc import Sequence
from typing import Any

from caebench.files.visible import visible
from caebench.report.claims import Judgement
from caebench.report.render import Rows
from caebench.report.table import Entry


def comma_separated(rows: Rows) -> str:
    """One line per cell; each published set has a column, and the gap is to the first."""
    sets = dict.fromkeys(name for row in rows for entry in row for name in entry.published)
    columns = [
        *("row_id", "row", "column", "metric", "state", "mean", "spread", "standard_error", "noise_from", "n"),
        *("best", "best_of", *(f"published_{name}" for name in sets), "gap", "verdict", "mark"),
        *("deviations", "protocols", "jobs"),
    ]
    written = io.StringIO()
    writer = csv.DictWriter(written, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for fact in facts(rows):
        joined = {name: ";".join(fact[name]) for name in ("deviations", "protocols", "jobs")}
        theirs = {f"published_{name}": value for name, value in fact["published"].items()}
        writer.writerow({**fact, **joined, **theirs})
    return visible(written.getvalue())


def facts(rows: Rows) -> list[dict[str, Any]]:
    """The cells in plain values."""
    return [cell_fact(entry) for row in rows for entry in row]


def cell_fact(entry: Entry) -> dict[str, Any]:
    """A cell in plain values."""
    ours, verdict = entry.estimate, entry.verdict
    runs = ours.runs if ours else []
    return {
        "row_id": entry.row.id,
        "row": entry.row.label,
        "column": entry.key,
        "header": entry.column.header,
        "metric": entry.choice.fixed if entry.choice else entry.column.metric,
        "state": entry.state,
        "mean": _meaning(ours.mean) if ours else None,
        "spread": _meaning(entry.spread),
        "standard_error": _meaning(ours.standard_error) if ours else None,
        "noise_from": ours.source if ours else None,
        "n": len(runs),
        "best": _meaning(entry.best),
        "best_of": entry.choice.of if entry.choice else None,
        "values": [_meaning(value) for _, _, value in runs],
        "seeds": [seed for seed, _, _ in runs],
        **({"draws": [draw for _, draw, _ in runs]} if ours and ours.by_draw else {}),
        "published": {name: known.value if known else None for name, known in entry.published.items()},
        "sources": {name: known.source for name, known in entry.published.items() if known},
        "gap": _meaning(verdict.gap) if verdict else None,
        "verdict": verdict.word if verdict else None if entry.state == "done" else entry.state,
        "mark": entry.mark,
        "rates": {f"{rate:g}": _meaning(value) for rate, value in entry.rates.items()},
        "deviations": list(entry.deviations),
        "protocols": sorted({number.protocol for number in entry.numbers if number.protocol}),
        "jobs": [number.job for number in entry.numbers],
    }


def _meaning(value: float | None) -> float | None:
    """The significant digits: with 50,000 images the smallest difference is two thousandths of a percent."""
    return None if value is None else round(value, 4)


def claim_facts(claims: Sequence[tuple[Judgement, Judgement]]) -> list[dict[str, Any]]:
    """The claims in plain values, each part with its difference."""
    return [
        {
            "statement": ours.claim.statement,
            "section": ours.claim.section,
            "status": ours.status,
            "on_published": theirs.status,
            "parts": [_part_fact(part) for part in ours.parts],
            "parts_on_published": [_part_fact(part) for part in theirs.parts],
        }
        for ours, theirs in claims
    ]


def _part_fact(part: Any) -> dict[str, Any]:
    numbers = {name: _meaning(getattr(part, name)) for name in ("difference", "low", "high")}
    seeds = {name: getattr(part, name) for name in ("num_seeds", "paired", "noise", "seeds_to_decide")}
    question = part.part.model_dump(exclude_none=True)
    return {**question, "status": part.status, **numbers, **seeds, "missing": list(part.missing)}
