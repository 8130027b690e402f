"""The tables in results/tables are those of today's suites: the same rows and columns, in every format, all filled.

Where this fails, the suite has changed since its table was made: `caebench run suite NAME` at nano scale, then
`caebench report --suite NAME --scale nano --out results/tables --force`.
"""

import csv
import io
import json
import re
from pathlib import Path

import pytest

from caebench import suites
from caebench.report.writing import definition

TABLES = Path(__file__).parents[2] / "results" / "tables"
FORMATS = ("json", "csv", "md", "tex")
# Made before nano's present settings, and not yet again: each comes off this list with its table.
OLD = {
    "ablation-components",
    "ablation-depth",
    "ablation-loss-weight",
    "ablation-mask-ratio",
    "ablation-targets",
    "classification-transfer",
    "detection-coco",
    "detection-coco-cascade",
    "frozen-probes",
    "pretraining-evaluation",
    "segmentation-ade20k",
}
TODAY = [name for name in suites.names() if name not in OLD]
RUN = [name for name in TODAY if not all(row.quoted for row in suites.load(name).rows)]


def plain(text):
    """A label without the marks of Markdown and LaTeX."""
    text = text.replace(r"\textbackslash{}", "").replace("$\\pm$", "+-")
    return re.sub(r"\\([&%$#_{}*])", r"\1", text).strip()


def from_json(text):
    cells = json.loads(text)["cells"]
    return [cell["row"] for cell in cells], [cell["header"] for cell in cells]


def from_csv(text):
    lines = list(csv.DictReader(io.StringIO(text)))
    return [line["row"] for line in lines], [line["column"] for line in lines]


def from_markdown(text):
    header, _, *rows = [line for line in text.split("\n\n")[1].splitlines() if line.startswith("|")]
    cut = [re.split(r"(?<!\\)\|", line)[1:-1] for line in (header, *rows)]
    return [plain(row[0]) for row in cut[1:]], [plain(cell) for cell in cut[0][1:]]


def from_latex(text):
    header, body = re.search(r"\\toprule\n(.*?) \\\\\n\\midrule\n(.*?)\\bottomrule", text, re.DOTALL).groups()
    cut = [re.split(r"(?<!\\)&", line) for line in (header, *body.splitlines())]
    return [plain(row[0]) for row in cut[1:]], [plain(cell) for cell in cut[0][1:]]


READ = {"json": from_json, "csv": from_csv, "md": from_markdown, "tex": from_latex}


def differences(path, what, wanted, found, may=()):
    """What is missing or too much, or that the order differs; `may` be there or not."""
    found = [name for name in dict.fromkeys(found) if name not in may]
    lines = [f"{path.name}: no {what} '{name}'" for name in wanted if name not in found]
    lines += [f"{path.name}: {what} '{name}' is not in the suite" for name in found if name not in wanted]
    return lines or ([] if found == wanted else [f"{path.name}: {what}s {found} stand in another order: {wanted}"])


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("suite", TODAY)
def test_a_committed_table_has_the_rows_and_columns_of_its_suite(suite, format):
    table, path = suites.load(suite), TABLES / f"{suite}-nano.{format}"
    if not path.exists():
        assert suite not in RUN, f"results/tables/{path.name}: there is no table of this suite"
        return
    rows, columns = READ[format](path.read_text(encoding="utf8"))
    name = (lambda key, column: key) if format == "csv" else (lambda key, column: column.header)
    extra = [name(key, column) for key, column in table.columns.items() if column.is_extra]
    wanted = [name(key, column) for key, column in table.columns.items() if not column.is_extra]
    problems = differences(path, "row", [row.label for row in table.rows], rows)
    problems += differences(path, "column", wanted, columns, extra)
    assert not problems, "results/tables/" + "; ".join(problems)


@pytest.mark.parametrize("suite", RUN)
def test_a_committed_table_is_made_from_todays_suite(suite):
    """Titles, notes and claims too: all that the file says."""
    path = TABLES / f"{suite}-nano.json"
    assert path.exists(), f"results/tables/{path.name}: there is no table of this suite"
    found = json.loads(path.read_text(encoding="utf8")).get("definition", "an unknown one")
    wanted = definition(suites.load(suite))
    assert found == wanted, f"results/tables/{path.name}: made from definition {found}; suites/{suite}.toml is {wanted}"


@pytest.mark.parametrize("suite", RUN)
def test_every_cell_of_a_committed_table_is_filled(suite):
    path = TABLES / f"{suite}-nano.json"
    assert path.exists(), f"results/tables/{path.name}: there is no table of this suite"
    quoted = {row.label for row in suites.load(suite).rows if row.quoted}
    cells = json.loads(path.read_text(encoding="utf8"))["cells"]
    empty = [f"{cell['row']}/{cell['header']} ({cell['state']})" for cell in cells if cell["row"] not in quoted]
    empty = [line for line in empty if not line.endswith("(done)")]
    assert not empty, f"results/tables/{path.name}: no number in {', '.join(empty)}"


@pytest.mark.parametrize("suite", sorted(OLD))
def test_a_table_that_was_made_again_is_no_longer_called_old(suite):
    path = TABLES / f"{suite}-nano.json"
    content = json.loads(path.read_text(encoding="utf8")) if path.exists() else {}
    assert "definition" not in content, f"results/tables/{path.name} is of today: take '{suite}' off OLD"


def test_no_table_is_left_of_a_suite_that_is_gone():
    known = {f"{suite}-nano.{format}" for suite in suites.names() for format in FORMATS}
    assert {path.name for path in TABLES.iterdir()} <= known
