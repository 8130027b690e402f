"""Control characters become visible escapes; text for people stays as it is."""

import pytest

from caebench.files.visible import LAYOUT, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("two\nlines\r\t", "two\\nlines\\r\\t"),
        ("right\u202eleft", "right\\u202eleft"),
        ("half \ud800", "half \\ud800"),
        ("blocks.0 \u00e9 \u2020 \u65e5", "blocks.0 \u00e9 \u2020 \u65e5"),
    ],
)
def test_characters_that_are_not_printable_become_escapes(text, shown):
    assert visible(text) == shown


def test_layout_can_be_kept():
    assert visible("a\n\tb\x07", keep=LAYOUT) == "a\n\tb\\x07"
