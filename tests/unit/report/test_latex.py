"""Text in LaTeX: whatever a suite file holds, the table compiles with booktabs alone and shows it."""

import pytest

from caebench.report.latex import escape, latex
from caebench.report.render import Document, Grid, Text


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("50 % & $5 #1 a_b {c}", r"50 \% \& \$5 \#1 a\_b \{c\}"),
        (
            "\\x ~y ^z <i> |",
            r"\textbackslash{}x \textasciitilde{}y \textasciicircum{}z \textless{}i\textgreater{} \textbar{}",
        ),
        ("\u03bb \u2192 0, \u03a3 \u2264 1 \u00d7 2", r"$\lambda$ $\rightarrow$ 0, $\Sigma$ $\leq$ 1 $\times$ 2"),
        ("\u00e9t\u00e9, \u0141\u00f3d\u017a, Stra\u00dfe", r"\'{e}t\'{e}, {\L}\'{o}d\'{z}, Stra{\ss}e"),
        ("\u201ca\u201d \u2013 b\u2019s\u00a0c", r"``a'' -- b's~c"),
        ("\u4e2d, 3\u00b0, e\u0301", r"\texttt{U+4E2D}, 3$^\circ$, \'{e}"),
        ("\x1b[31m\0\u202e", r"\textbackslash{}x1b[31m\textbackslash{}x00\textbackslash{}u202e"),
        ("two\n\nlines\r\nof it", "two lines of it"),
        ("[bold] x", "{}[bold] x"),
        ("*", "{}*"),
        ("83.6 +- 0.1 [83.9]", r"83.6 $\pm$ 0.1 [83.9]"),
    ],
)
def test_any_text_is_shown(text, written):
    assert escape(text) == written and written.isascii()


def test_a_label_is_not_read_as_an_option_of_the_line_before():
    """LaTeX takes `[` or `*` after `\\\\`, `\\midrule` and `\\item` for an option."""
    grid = Grid("T", ["", "LIN"], [[Text("[a]"), Text("1")], [Text("*"), Text("2")]])
    lines = latex(Document(grid, ["[n of m]: so many"], [])).splitlines()
    assert {r"{}[a] & 1 \\", r"{}* & 2 \\", r"\item {}[n of m]: so many"} <= set(lines)
