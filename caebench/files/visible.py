"""Text as it can be shown: what a terminal would obey in place of printing it is written as an escape."""

import re
import unicodedata

SHOWN = "\n\t"
OBEYED = ("Cc", "Cf", "Cs", "Zl", "Zp")  # Unicode's categories: controls, directions, surrogates, separators of lines


def visible(text: str) -> str:
    """The text with `\\x1b` in place of an escape character, and the like; line breaks and tabs stay."""
    return text if text.isprintable() else "".join(map(_visible, text))


def in_one_line(text: str) -> str:
    """The visible text without line breaks, for where a line has a meaning."""
    return visible(re.sub(r"\s*[\n\r\v\f\x85\u2028\u2029]\s*", " ", text)).strip()


def _visible(char: str) -> str:
    if char in SHOWN or unicodedata.category(char) not in OBEYED:
        return char
    return char.encode("unicode_escape").decode("ascii")
