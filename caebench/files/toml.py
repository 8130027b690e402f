"""TOML files that users write: a mistake of the text is one line that names the file and does not quote it."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

LONGEST = 2_000  # characters of a text in a file
LONGEST_LINE = 4_000  # tomllib's time grows with the third power of the parts of a dotted name
LARGEST = 2**63  # TOML's whole numbers have 64 bits
SHOWN = 60  # characters of a user's value in an error


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file's content.

    Raises:
        ValueError: it is no file, not UTF-8, not TOML, or a value in it is no text, number, truth value, list or table.
        OSError: it cannot be read.
    """
    if path.exists() and not path.is_file():
        raise ValueError(f"{path}: not a file. Give the path of a TOML file.")
    try:
        content = tomllib.loads(_text(path))
        problem = next(_problems(content), None)
    except RecursionError:
        problem, content = "nested too deeply", {}
    except ValueError as error:
        problem, content = f"not valid TOML: {brief(str(error), 2 * SHOWN)}", {}
    if problem is not None:
        raise ValueError(f"{path}: {problem}. Correct the file.")
    return content


def _text(path: Path) -> str:
    """The text of a file in UTF-8, with or without a byte-order mark."""
    content = path.read_bytes()
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError("it is in UTF-16. Save it in UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {line} is not in UTF-8 (byte 0x{content[error.start]:02x}). Save it in UTF-8") from None
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > LONGEST_LINE:
            raise ValueError(f"line {number} has {len(line)} characters: at most {LONGEST_LINE}")
    return text


def _problems(value: Any, field: str = "") -> Iterator[str]:
    """What no field can have, with the field's name."""
    if isinstance(value, dict):
        for name, inner in cast(dict[str, Any], value).items():
            yield from _problems(inner, f"{field}.{name}" if field else name)
    elif isinstance(value, list):
        for number, inner in enumerate(cast(list[Any], value)):
            yield from _problems(inner, f"{field}.{number}")
    elif isinstance(value, str):
        if len(value) > LONGEST:
            yield f"field '{brief(field)}' has {len(value)} characters: at most {LONGEST}"
        if "\0" in value:
            yield f"field '{brief(field)}' has a NUL character"
    elif isinstance(value, bool | float):
        return
    elif isinstance(value, int):
        if not -LARGEST <= value < LARGEST:
            yield f"field '{brief(field)}' is beyond 64 bits, which TOML's whole numbers have"
    else:
        yield f"field '{brief(field)}' is a date or a time: no field takes one"


def inline(value: Any) -> str:
    """A plain value in TOML, in one line; control characters in texts are escaped.

    Raises:
        TypeError: TOML has no such value.
    """
    match value:
        case bool() | int() | float():
            return json.dumps(value, allow_nan=False)
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case list() | tuple():
            return f"[{', '.join(map(inline, cast(list[Any], value)))}]"
        case dict():
            pairs = (f"{key(name)} = {inline(inner)}" for name, inner in cast(dict[str, Any], value).items())
            return f"{{ {', '.join(pairs)} }}"
        case _:
            raise TypeError(f"{value!r}: TOML has no {type(value).__name__}")


def key(name: str) -> str:
    """The name of a field, in quotes where TOML wants them."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else inline(name)


def brief(words: str, most: int = SHOWN) -> str:
    """A user's words in one line, cut where they are long."""
    line = " ".join(words.split())
    return line if len(line) <= most else f"{line[: most - 3]}..."
