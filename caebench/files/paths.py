"""Paths that users write: `~` and `$NAME` mean the same in every file and option."""

import os
import re
from pathlib import Path

SITES = Path("~/.config/caebench/sites")
STORE = Path(".caebench/store")  # where a site names no other
VARIABLE = re.compile(r"\$(?:(\w+)|\{([^}]*)\})")


def expand(path: Path) -> Path:
    """The path with its home folder and variables filled in.

    Raises:
        ValueError: a variable is not set, or there is no such home folder.
    """
    return Path(expand_text(str(path)))


def expand_text(text: str) -> str:
    """The same for a text that begins with a path.

    Raises:
        ValueError: a variable is not set, or there is no such home folder.
    """
    filled = VARIABLE.sub(lambda found: _value(found[1] or found[2], text), text)
    if not filled.startswith("~"):
        return filled
    home, slash, rest = filled.partition("/")
    if (folder := os.path.expanduser(home)) == home:
        raise ValueError(f"'{text}': the home folder {home} is not known. Set HOME, or write the path in full")
    return folder + slash + rest


def _value(name: str, text: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise ValueError(f"'{text}': the variable {name} is not set. Set it, or write the path in full")
    return value
