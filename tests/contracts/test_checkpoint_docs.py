"""docs/checkpoints.md has the table that the command prints."""

from pathlib import Path

from caebench.cli.ckpt import families
from caebench.specs.families import BY_NAME

DOCS = Path(__file__).parents[2] / "docs" / "checkpoints.md"


def test_the_table_is_the_commands(capsys):
    families(markdown=True)
    table = capsys.readouterr().out
    assert table in DOCS.read_text(encoding="utf8"), "run `caebench ckpt families --markdown` and paste it there"
    assert table.count("\n") == len(BY_NAME) + 2


def test_every_family_but_our_own_has_heads():
    assert [row.name for row in BY_NAME.values() if not row.heads] == ["caebench"]
    assert [row.name for row in BY_NAME.values() if row.is_own] == ["caebench"]
