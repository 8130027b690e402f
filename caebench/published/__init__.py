"""Published numbers, each with its source. Where none was found the value is absent, never guessed."""

import csv
import importlib.resources
from functools import cache
from typing import NamedTuple


class Published(NamedTuple):
    """One published number; `value` is None where it was looked for and not found."""

    value: float | None
    source: str
    confidence: str


@cache
def paper() -> dict[tuple[str, str], Published]:
    """The CAE paper's numbers by (row id, metric)."""
    text = (importlib.resources.files(__name__) / "paper.csv").read_text(encoding="utf8")
    return {
        (line["row_id"], line["metric"]): Published(
            float(line["value"]) if line["value"] else None, line["source"], line["confidence"]
        )
        for line in csv.DictReader(text.splitlines())
    }
