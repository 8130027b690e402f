"""Text of strangers for the terminal: control characters as visible escapes. No torch."""

LAYOUT = "\n\t"  # to keep in text of several lines


def visible(text: str, keep: str = "") -> str:
    """The text with an escape in place of each character that is not printable, such as `\\x1b`; `keep` stays."""
    return "".join(char if char.isprintable() or char in keep else _escape(char) for char in text)


def _escape(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")
