"""What the printed tables must not swallow."""

from caebench.cli.show import console, print_table, styled
from caebench.report.render import Text

MARKUP = "[bold]x[/] [/y] :bug: \\[z]"
OBEYED = "\x1b[31m \a \u202e"


def test_square_brackets_in_notes_are_printed(capsys):
    print_table(
        "Title [NANO scale]", ["", "ATT"], [["row", "25.0 [2 of 3]"]], ["[n of m]: only n of m seeds are done."]
    )
    printed = capsys.readouterr().out
    assert "[n of m]: only n of m" in printed
    assert "[NANO scale]" in printed and "[2 of 3]" in printed


def test_brackets_anywhere_in_a_table_are_text(capsys):
    print_table(f"T {MARKUP}", ["", f"H {MARKUP}"], [[f"L {MARKUP}", styled(Text("C [/]", mark="best"))]], [MARKUP])
    printed = capsys.readouterr().out
    assert all(f"{where} {MARKUP}" in printed for where in "THL") and printed.endswith(f"\n# {MARKUP}\n")
    assert "C [/]" in printed


def test_control_characters_anywhere_in_a_table_are_shown(capsys):
    print_table(OBEYED, ["", OBEYED], [[OBEYED, styled(Text(OBEYED, mark="best"))]], [OBEYED])
    console().print(OBEYED)
    printed = capsys.readouterr().out
    assert printed.count(r"\x1b[31m \x07 \u202e") == 6
    assert not set(printed) & set(OBEYED.replace(" ", "")[:1] + "\a\u202e")
