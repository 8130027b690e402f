"""A mistake in the words of a command: shown as text, whatever they hold, and with status 2."""

import io
import sys

import pytest

from tests.helpers import answer


@pytest.mark.parametrize(
    "arguments",
    [
        ("logs", "--h\u2028x", "0123456789"),
        ("retry", "quickstart", "--store\u202egpj.exe", "x"),
        ("bench", "pass", "--repeats", "\u202e1"),
        ("\u202ecigol",),
        ("report", "--suite", "quickstart", "\x1b[2J\x7f\u2029"),
    ],
)
def test_what_was_typed_is_shown_as_text(arguments, capsys, monkeypatch):
    found = answer(arguments, capsys, monkeypatch)
    assert found.status == 2
    assert not set(found.error) & set("\u2028\u2029\u202e\x1b\x7f"), ascii(found.error)
    assert "Error" in found.error


def test_a_question_that_nobody_answers_is_a_no(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    arguments = ("run", "suite", "quickstart", "--scale", "lab", "--store", str(tmp_path))
    found = answer(arguments, capsys, monkeypatch)
    assert found.status == 2
    assert found.error.endswith(
        "error: the question was not answered, and nothing was done. Give --yes to go without it.\n"
    )
