"""Characters that a terminal would obey are shown."""

import pytest

from caebench.files.visible import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\0 \a \b \r \x7f", r"\x00 \x07 \x08 \r \x7f"),
        ("\x85 \x9b31m", r"\x85 \x9b31m"),
        ("\u202eabc\u2066\u200f", r"\u202eabc\u2066\u200f"),
        ("\u2028 \ud800", r"\u2028 \ud800"),
    ],
)
def test_what_a_terminal_would_obey_is_shown_as_an_escape(text, shown):
    assert visible(text) == shown


@pytest.mark.parametrize("text", ["", "CAE, 300 epochs", "\u03bb \u2192 \u00e9 \u4e2d\u00a0%", "two\n\tlines", r"a\nb"])
def test_what_can_be_read_stays(text):
    assert visible(text) == text


def test_a_name_keeps_no_layout():
    assert visible("two\nlines\t", keep="") == r"two\nlines\t"
