"""Paths that users write, filled in the same way everywhere."""

import pwd
from pathlib import Path

import pytest

from caebench.files.paths import expand


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("~/a", "/home/me/a"),
        ("~", "/home/me"),
        ("$HOME/a", "/home/me/a"),
        ("${HOME}/a", "/home/me/a"),
        ("/a/${USERS}b/$USERS", "/a/usb/us"),
        ("a/~", "a/~"),
        ("a$", "a$"),
        ("/a b", "/a b"),
        ("$TILDE/a", "/home/me/a"),
    ],
)
def test_a_home_and_variables_are_filled_in(written, meant, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("USERS", "us")
    monkeypatch.setenv("TILDE", "~")
    assert expand(Path(written)) == Path(meant)


@pytest.mark.parametrize("value", [None, ""])
def test_a_variable_without_a_value_is_named(monkeypatch, value):
    monkeypatch.delenv("NOWHERE", raising=False)
    if value is not None:
        monkeypatch.setenv("NOWHERE", value)
    with pytest.raises(ValueError) as caught:  # noqa: PT011 the text is compared below
        expand(Path("/a/$NOWHERE/b"))
    assert str(caught.value) == "'/a/$NOWHERE/b': the variable NOWHERE is not set. Set it, or write the path in full"


def test_an_unknown_home_is_named(monkeypatch):
    def nobody(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    with pytest.raises(ValueError) as caught:  # noqa: PT011 the text is compared below
        expand(Path("~/a"))
    assert str(caught.value) == "'~/a': the home folder ~ is not known. Set HOME, or write the path in full"
