"""Text in Markdown: whatever a suite file holds, a reader of the rendered page sees it."""

import pytest

from caebench.report.render import Document, Grid, Text, markdown


def written(label="", header="LIN", title="T", note="n"):
    """The lines of a table with one row, and of its note."""
    grid = Grid(title, ["", header], [[Text(label), Text("83.6 +- 0.1 [83.9]", ("83.6", "-"), "best")]])
    return markdown(Document(grid, [note], [])).splitlines()


def test_numbers_are_written_as_before():
    assert written("CAE, vit_b")[4] == "| CAE, vit_b | **83.6 ± 0.1 [83.9]** (83.6; -) |"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a | b", r"a \| b"),
        ("a\nb\r\n\nc", "a b c"),
        ("*x* _y_ __z__ vit_b", r"\*x\* \_y\_ \_\_z\_\_ vit_b"),
        ("`c` \\d ~e~ $f$", r"\`c\` \\d \~e\~ \$f\$"),
        ("<b>g</b> &lt; p < 1", r"\<b>g\</b> \&lt; p < 1"),
        ("[h](i) ![j]", r"[h\](i) \![j]"),
        ("\x1b[31m \u202e", r"\\x1b[31m \\u202e"),
        ("\u03bb \u2192 \u00e9", "\u03bb \u2192 \u00e9"),
    ],
)
def test_text_is_no_markup_in_markdown(text, shown):
    lines = written(text, text, text, f"n {text}")
    assert lines[0] == f"**{shown}**" and lines[2] == f"|  | {shown} |"
    assert lines[4].startswith(f"| {shown} | **83.6") and lines[6] == f"- n {shown}"


@pytest.mark.parametrize(
    ("note", "shown"),
    [
        ("# a", r"\# a"),
        ("[x] done", r"\[x] done"),
        ("- a", r"\- a"),
        ("+ a", r"\+ a"),
        ("1. a", r"1\. a"),
        ("> a", r"\> a"),
        ("1.5 a", "1.5 a"),
    ],
)
def test_the_beginning_of_a_note_is_no_markup(note, shown):
    assert written(note=note)[6] == f"- {shown}"
