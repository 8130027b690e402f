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
        ("report", "quickstart", "\x1b[2J\x7f\u2029"),
    ],
)
def test_what_was_typed_is_shown_as_text(arguments, capsys, monkeypatch):
    found = answer(arguments, capsys, monkeypatch)
    assert found.status == 2
    assert not set(found.error) & set("\u2028\u2029\u202e\x1b\x7f"), ascii(found.error)
    assert found.error.startswith("error: ") and found.error.count("\n") == 1 and " -h" in found.error


USAGE = {
    ("stauts",): "error: No such command 'stauts'. Did you mean 'status', 'suites'? Help: caebench -h",
    ("plan",): "error: Missing argument 'suite'. Help: caebench plan -h",
    (
        "plan",
        "a",
        "--scal",
        "nano",
    ): "error: No such option: --scal (Possible options: --all, --real, --scale). Help: caebench plan -h",
    ("run", "suite", "a", "--jobs", "x"): "error: Invalid value for '--jobs': Input should be a valid integer",
}


@pytest.mark.parametrize("words", USAGE, ids=" ".join)
def test_a_word_that_a_verb_does_not_take_is_one_line(words, capsys, monkeypatch):
    found = answer(words, capsys, monkeypatch)
    assert (found.status, found.out, found.error.count("\n")) == (2, "", 1)
    assert found.error.startswith(USAGE[words]), found.error


def test_a_verb_alone_that_has_verbs_prints_its_help(capsys, monkeypatch):
    found = answer(("data",), capsys, monkeypatch)
    assert found.status == 2 and "Usage: caebench data" in found.out + found.error


def test_a_question_that_nobody_answers_is_a_no(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    arguments = ("run", "suite", "quickstart", "--scale", "lab", "--store", str(tmp_path))
    found = answer(arguments, capsys, monkeypatch)
    assert found.status == 2
    assert found.error.endswith(
        "error: the question was not answered, and nothing was done. Give --yes to go without it.\n"
    )


def test_ctrl_c_before_anything_runs_is_a_line(desk, monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr("caebench.suites.loading.every", interrupted)
    assert desk("ls") == (1, "", "\ninterrupted\n")


def test_a_site_is_listed_once(desk):
    assert desk("plan", "quickstart", "--site", "x").error.endswith(
        "Known: local, cluster. Write the file, or use local.\n"
    )
