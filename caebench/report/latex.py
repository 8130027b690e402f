"""A document as LaTeX: one file that compiles with booktabs alone."""

import re

from caebench.report.render import Document, Grid, Text
from caebench.report.statistics import Mark

SPECIAL = {
    **{char: f"\\{char}" for char in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}
OPENING = r"""\documentclass{article}
\usepackage{booktabs}
\usepackage[margin=2cm,landscape]{geometry}
\begin{document}
"""


def latex(found: Document) -> str:
    """A complete file: the table with its notes, then the rest."""
    notes = "\n".join(f"\\item {escape(note)}" for note in found.notes)
    under = f"\\begin{{itemize}}\\footnotesize\n{notes}\n\\end{{itemize}}\n" if found.notes else ""
    parts = [_grid(found.main), under, *map(_grid, found.more)]
    return OPENING + "\n".join(parts) + "\\end{document}\n"


def _grid(grid: Grid) -> str:
    long = [any(len(row[n].plain()) > 40 for row in grid.rows) for n in range(len(grid.header))]
    columns = "".join("p{7cm}" if is_long else "l" if n == 0 or grid.words else "r" for n, is_long in enumerate(long))
    lines = [" & ".join(map(_text, row)) + r" \\" for row in grid.rows]
    return "\n".join(
        [
            r"\begin{table}[ht]\centering\small",
            f"\\caption{{{escape(grid.title)}}}",
            f"\\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            " & ".join(map(escape, grid.header)) + r" \\",
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _text(text: Text) -> str:
    return text.styled(_look, r"$^\dagger$")


def _look(words: str, mark: Mark) -> str:
    return {"best": r"\textbf{%s}", "second": r"\underline{%s}", "": "%s"}[mark] % escape(words)


def escape(text: str) -> str:
    """Plain text for LaTeX; `+-` becomes its sign."""
    safe = re.sub(r"[&%$#_{}~^\\<>|]", lambda found: SPECIAL[found[0]], text)
    return safe.replace("+-", r"$\pm$")
