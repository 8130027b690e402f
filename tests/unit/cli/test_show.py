"""What the printed tables must not swallow."""

from caebench.cli.show import print_table


def test_square_brackets_in_notes_are_printed(capsys):
    print_table(
        "Title [NANO scale]", ["", "ATT"], [["row", "25.0 [2 of 3]"]], ["[n of m]: only n of m seeds are done."]
    )
    printed = capsys.readouterr().out
    assert "[n of m]: only n of m" in printed
    assert "[NANO scale]" in printed and "[2 of 3]" in printed
