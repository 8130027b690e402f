"""Tables in any width: nothing wider than it, no id or number broken, nothing lost; piped, a line a row."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from caebench.cli.folding import fold
from caebench.cli.tables import Head, laid_out, tab_separated

WIDTHS = range(60, 201, 20)
ID = "98cac62a22"
NASTY = st.one_of(
    st.text(st.characters(exclude_categories=("Cc", "Cf", "Cs", "Zl", "Zp", "Zs")), max_size=90),
    st.sampled_from(["日本語の長い名前" * 6, "a\u0301e\u0302\u0323" * 30, "x" * 140, "CAE, own d-VAE / LIN", "-", ""]),
    st.builds("linear_probe/{}-{}".format, st.text("abc_-9", max_size=70), st.just(ID)),
)
NUMBERS = st.sampled_from(["63.2 +- 0.4 [63.9] (64.1; not found)", "-", "not run", "12.0", "7.1†", "1.2e-05 (-; 3.0)"])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(NASTY, min_size=3, max_size=3), min_size=1, max_size=4), st.sampled_from(WIDTHS))
@example([["日本語" * 40, "x" * 200, "a\u0301" * 100]], 60)
def test_a_table_of_words_fits_breaks_no_id_and_loses_nothing(rows, width):
    full = [[ID, *row, "1,234.5"] for row in rows]
    lines = laid_out(["job", "row", "column", "name", "time"], full, width, numbers=False)
    shown = [line.plain for line in lines]
    assert max(map(cell_len, shown)) <= width
    assert "\n".join(shown).count(ID) >= len(rows) and "\n".join(shown).count("1,234.5") == len(rows)
    for cell in (cell for row in rows for cell in row):
        assert sorted(set(cell.replace(" ", "")) - set("".join(shown))) == []


@settings(max_examples=60, deadline=None)
@given(st.lists(NASTY, min_size=1, max_size=6), st.integers(1, 12), NUMBERS, st.sampled_from(WIDTHS))
def test_a_table_of_numbers_fits_and_breaks_no_number(labels, columns, number, width):
    header = ["", *(f"ADE20K mIoU {n}" for n in range(columns))]
    lines = [line.plain for line in laid_out(header, [[label, *[number] * columns] for label in labels], width, True)]
    assert max(map(cell_len, lines)) <= width
    text = "\n".join(lines)
    for part in re.findall(r"\([^)]*\)|\[[^\]]*\]|\d[\d.]*e-05|[\d.]+ \+- [\d.]+", number):
        assert text.count(part) >= len(labels) * columns, (part, text)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.text(max_size=40), min_size=3, max_size=3), max_size=4))
@example([["a\tb", "c\nd", "\r\x85\u2028"]])
def test_piped_a_row_is_a_line_and_has_a_cell_a_column(rows):
    lines = tab_separated(["", "b", Head("c", True)], rows)
    assert lines[0] == "row\tb\tc" and len(lines) == len(rows) + 1
    assert all(line.count("\t") == 2 and len(line.splitlines()) <= 1 for line in lines)


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("Random encoder", 9, ["Random", "encoder"]),
        ("linear_probe/imagenet1k-cae-98cac62a22", 20, ["linear_probe/", "imagenet1k-cae-", "98cac62a22"]),
        ("at 2026-11-30T21:57:34 or 1,234.5", 20, ["at", "2026-11-30T21:57:34", "or 1,234.5"]),
        ("rate 1.2e-05", 9, ["rate", "1.2e-05"]),
        ("日本語日本", 6, ["日本語", "日本"]),
        ("e\u0301e\u0301e\u0301e\u0301", 3, ["e\u0301e\u0301e\u0301", "e\u0301"]),
        ("a\n\nb", 5, ["a", "", "b"]),
    ],
)
def test_text_folds_between_words_and_never_in_an_id_or_a_number(text, width, lines):
    assert [line.plain for line in fold(Text(text), width)] == lines


def test_a_look_survives_folding():
    text = Text("63.2 +- 0.4 ") + Text("[63.9]", "bold")
    first, second = fold(text, 11, units=True)
    assert (first.plain, second.plain) == ("63.2 +- 0.4", "[63.9]") and second.spans[0].style == "bold"


def test_columns_that_may_go_do_where_it_is_narrow():
    header, row = ["job", "row", Head("name", True)], [ID, "Random encoder", "pretrain/random-" + "x" * 40]
    assert "name" not in laid_out(header, [row], 50, False)[0].plain
    assert "name" in laid_out(header, [row], 200, False)[0].plain
