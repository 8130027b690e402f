"""Every screen as before, at each width and piped; no line is too wide, and piped lines have equally many cells."""

import difflib
import re

import pytest
from rich.cells import cell_len

from tests.golden.screens import CALLS, SCREENS, WIDTHS, captured, half_done

HOW = "\nMeant? Run `.venv/bin/python -m tests.golden.update` and look at the changes as a reader would."


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    with half_done(tmp_path_factory.mktemp("half")) as jobs:
        yield jobs


def check(name, text):
    before = (SCREENS / name).read_text(encoding="utf8")
    changes = "\n".join(difflib.unified_diff(before.splitlines(), text.splitlines(), lineterm="", n=0))
    assert before == text, f"{name}:\n{changes[:4000]}{HOW}"


@pytest.mark.parametrize("name", CALLS)
def test_a_screen_is_as_before(jobs, name):
    for width in WIDTHS:
        text = captured(name, jobs, width)
        assert max(map(cell_len, text.splitlines())) <= width
        check(f"{name}-{width}.txt", text)


@pytest.mark.parametrize("name", CALLS)
def test_piped_it_is_a_line_a_row_with_a_cell_a_column(jobs, name):
    text = captured(name, jobs, None)
    for table in re.split(r"\n\n", text):
        lines = [line for line in table.splitlines() if not line.startswith("#")]
        assert len({line.count("\t") for line in lines}) <= 1, lines
    assert not set("─│┃\x1b") & set(text)
    check(f"{name}.tsv", text)


def test_the_width_of_columns_holds_where_rich_is_asked_for_though_it_is_piped(jobs, monkeypatch):
    monkeypatch.setitem(CALLS, "rich", (*CALLS["report"], "--format", "rich"))
    monkeypatch.setenv("COLUMNS", "60")
    assert captured("rich", jobs, None) == (SCREENS / "report-60.txt").read_text(encoding="utf8")
    monkeypatch.delenv("COLUMNS")
    assert captured("rich", jobs, None) == (SCREENS / "report-80.txt").read_text(encoding="utf8")
    monkeypatch.setitem(CALLS, "tsv", (*CALLS["report"], "--format", "tsv"))
    assert captured("tsv", jobs, 80) == (SCREENS / "report.tsv").read_text(encoding="utf8")
