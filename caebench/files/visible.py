"""Text as it can be shown: what a terminal would obey in place of printing it is written as an escape."""

import re
import unicodedata

LAYOUT = "\n\t"
OBEYED = ("Cc", "Cf", "Cs", "Zl", "Zp")  # Unicode's categories: controls, directions, surrogates, separators of lines


def visible(text: str, keep: str = LAYOUT) -> str:
    """The text with `\\x1b` in place of an escape character, and the like; `keep` stays."""
    return text if text.isprintable() else "".join(_visible(char, keep) for char in text)


def in_one_line(text: str) -> str:
    """The visible text without line breaks, for where a line has a meaning."""
    return visible(re.sub(r"\s*[\n\r\v\f\x85\u2028\u2029]\s*", " ", text)).strip()


def _visible(char: str, keep: str) -> str:
    if char in keep or unicodedata.category(char) not in OBEYED:
        return char
    return char.encode("unicode_escape").decode("ascii")
