"""`caebench report`: what is in a suite file is text in every format."""

import csv
import io
import sys

import pytest

from caebench.cli.report import FORMATS

SUITE = r"""
notes = ["[/] a | b\nc \u001b[31m"]
source = { title = "[bold]T[/] | \u202e" }
pretrain = { recipe = "cae", epochs = 300 }
columns.linear = { header = "[/] | H\u0007", eval = "linear_probe" }
rows = [{ label = "[x]R[/] |\nS", target = "pixels" }, { label = "* \u03bb", quoted = true }]
[[claims]]
statement = "[/] claim |\nof it"
section = "[4]"
parts = [{ higher = "* \u03bb/linear", lower = "[x]R[/] |\nS/linear" }]
"""
OBEYED = ("\x1b", "\u202e", "\a")


@pytest.fixture
def suite(tmp_path):
    path = tmp_path / "[bold]s.toml"
    path.write_text(SUITE, encoding="utf8")
    return str(path)


def test_brackets_of_a_suite_are_printed_in_tables(desk, suite):
    status, out, error = desk("report", "--suite", suite, "--scale", "nano")
    assert (status, error) == (0, "")
    assert r"[bold]T[/] | \u202e [NANO" in out and r"[/] | H\x07" in out and "[x]R[/] |" in out
    assert "[/] claim |" in out and "\n# [/] a | b c \\x1b[31m\n" in out


@pytest.mark.parametrize("verb", ["plan", "status"])
def test_brackets_of_a_suites_path_are_printed(desk, suite, verb):
    status, out, error = desk(verb, suite, "--scale", "nano")
    assert (status, error) == (0, "") and "[bold]s.toml" in "".join(out.split())


def test_a_console_without_a_character_gets_an_escape(desk, suite, monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    assert desk("report", "--suite", suite, "--scale", "nano").status == 0
    sys.stdout.flush()
    assert rb"* \u03bb" in raw.getvalue()


@pytest.mark.parametrize(
    "arguments", [("plan", "no\x1b[31m\a\u202e"), ("diff", "cae", "[]\x1b"), ("logs", "x", "--store", "[/]\x1b")]
)
def test_an_error_shows_control_characters(desk, arguments):
    status, out, error = desk(*arguments)
    assert (status, out) == (2, "") and error.startswith("error: ") and error.count("\n") == 1
    assert r"\x1b" in error and not any(char in error for char in OBEYED)


@pytest.mark.parametrize("format", FORMATS)
def test_no_format_passes_control_characters_on(desk, suite, format):
    status, out, _ = desk("report", "--suite", suite, "--scale", "nano", "--format", format)
    assert status == 0 and not any(char in out for char in OBEYED)
    if format == "csv":
        assert [line["row"] for line in csv.DictReader(io.StringIO(out))] == ["[x]R[/] |\nS", "* \u03bb"]
