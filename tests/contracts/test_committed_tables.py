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

from caebench.report.writing import definition
from caebench.suites import loading as suites

TABLES = Path(__file__).parents[2] / "results" / "tables"
FORMATS = ("json", "csv", "md", "tex")
TODAY = suites.names()
# Columns that are newer than their suite's table at nano: the next run of the suite fills them. Nothing else may lack.
LATER = {"pretraining-evaluation": {"knn_v2", "knn_real", "knn_10pct", "knn_1pct"}}
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


def differences(path, what, wanted, found):
    """What is missing or too much, or that the order differs."""
    found = list(dict.fromkeys(found))
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
    later = LATER.get(suite, set())
    wanted = [name(key, column) for key, column in table.columns.items() if key not in later]
    problems = differences(path, "row", [row.label for row in table.rows], rows)
    problems += differences(path, "column", wanted, columns)
    assert not problems, "results/tables/" + "; ".join(problems)


@pytest.mark.parametrize("suite", RUN)
def test_a_committed_table_is_made_from_todays_suite(suite):
    """Titles, notes and claims too: all that the file says."""
    path = TABLES / f"{suite}-nano.json"
    assert path.exists(), f"results/tables/{path.name}: there is no table of this suite"
    found = json.loads(path.read_text(encoding="utf8")).get("definition", "an unknown one")
    made_for = suites.load(suite)
    columns = {key: column for key, column in made_for.columns.items() if key not in LATER.get(suite, set())}
    wanted = definition(made_for.replace(columns=columns))
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


def test_no_table_is_left_of_a_suite_that_is_gone():
    known = {f"{suite}-nano.{format}" for suite in suites.names() for format in FORMATS}
    assert {path.name for path in TABLES.iterdir()} <= known
