"""A document as LaTeX: one ASCII file that compiles with booktabs alone."""

import unicodedata
from collections.abc import Mapping

from caebench.files.visible import in_one_line
from caebench.report.render import Document, Grid, Text
from caebench.report.statistics import Mark

SPECIAL: Mapping[str, str] = {
    **{char: f"\\{char}" for char in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}
MATHS = (  # what papers write
    "αalpha βbeta γgamma δdelta εepsilon ζzeta ηeta θtheta ιiota κkappa λlambda μmu νnu ξxi πpi ρrho ςvarsigma σsigma "
    "τtau υupsilon φphi χchi ψpsi ωomega ΓGamma ΔDelta ΘTheta ΛLambda ΞXi ΠPi ΣSigma ΥUpsilon ΦPhi ΨPsi ΩOmega "
    "←leftarrow →rightarrow ↔leftrightarrow ⇐Leftarrow ⇒Rightarrow ⇔Leftrightarrow ↑uparrow ↓downarrow ±pm ×times ÷div "
    "·cdot ≤leq ≥geq ≠neq ≈approx ∼sim ∞infty √surd ∈in ∂partial ∑sum µmu †dagger ‡ddagger ★star •bullet"
)
TEXT = "ßss æae ÆAE øo ØO łl ŁL œoe ŒOE §S …dots"
WRITTEN: Mapping[str, str] = {
    **{word[0]: f"$\\{word[1:]}$" for word in MATHS.split()},
    **{word[0]: f"{{\\{word[1:]}}}" for word in TEXT.split()},
    **dict(
        zip(
            "°−²³‘’“”–—\u00a0",
            (r"$^\circ$", "$-$", "$^2$", "$^3$", "`", "'", "``", "''", "--", "---", "~"),
            strict=True,
        )
    ),
}
MARKS: Mapping[str, str] = dict(  # of a letter: how Unicode combines them, and their commands
    zip("\u0300\u0301\u0302\u0303\u0308\u0304\u0307\u0306\u030b\u030a\u030c\u0327", "`'^~\"=.uHrvc", strict=True)
)
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
    """Plain text for LaTeX; `+-` becomes its sign. It is never read as an option of the command before it."""
    safe = "".join(map(_char, unicodedata.normalize("NFC", in_one_line(text)))).replace("+-", r"$\pm$")
    return "{}" + safe if safe.startswith(("[", "*")) else safe


def _char(char: str) -> str:
    """A character; one without a command is named by its number."""
    if char.isascii():
        return SPECIAL.get(char, char)
    if char in WRITTEN:
        return WRITTEN[char]
    letter, *marks = unicodedata.normalize("NFD", char)
    if letter.isascii() and len(marks) == 1 and marks[0] in MARKS:
        return f"\\{MARKS[marks[0]]}{{{letter}}}"
    return rf"\texttt{{U+{ord(char):04X}}}"
