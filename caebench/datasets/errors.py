"""What goes wrong with data on disk, said to the person who can mend it."""

import json
import os
import stat
from pathlib import Path
from typing import Any

from caebench.files.permissions import denied_at
from caebench.files.visible import in_one_line, visible

LONGEST = 1_000  # characters of what is wrong: names in files may have any length


class DataError(ValueError):
    """A data set that is missing, empty or not what its layout promises: where, what, and what to do."""

    def __init__(self, where: Path | str, what: str, do: str) -> None:
        super().__init__(in_one_line(f"{where}: {what if len(what) <= LONGEST else what[:LONGEST] + '...'}. {do}"))
        self.where, self.what, self.do = str(where), what, do

    def __reduce__(self) -> tuple[type["DataError"], tuple[str, str, str]]:
        """Keep all three parts when a loader's worker process hands the error on."""
        return type(self), (self.where, self.what, self.do)


def is_name(text: str) -> bool:
    """Whether a file can have this path: without control characters, and with bytes for each character."""
    return visible(text, keep="") == text and not any("\ud800" <= char <= "\udfff" for char in text)


def read_json(path: Path, do: str) -> Any:
    """The content of a JSON file.

    Raises:
        DataError: it is missing, may not be read, or is no JSON.
    """
    text = read_text(path, do)
    try:
        return json.loads(text)
    except RecursionError as error:
        raise DataError(path, "not readable as JSON (nested too deeply)", do) from error
    except ValueError as error:
        raise DataError(path, f"not readable as JSON ({error})", do) from error


def read_text(path: Path, do: str) -> str:
    """The content of a text file, without the mark that Windows may put before it.

    Raises:
        DataError: it is missing, may not be read, or is no text in UTF-8.
    """
    reject_special(path, do)
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise DataError(path, "no such file", do) from error
    except PermissionError as error:
        raise DataError(path, *denied_at(path)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(path, f"not readable as text ({error})", do) from error


def reject_special(path: Path | str, do: str) -> None:
    """Check that reading a file ends: that of a pipe waits for ever, and that of a device may go on for ever.

    Raises:
        DataError: it is neither a file nor a folder.
    """
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return  # whoever opens it says why it cannot be read
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise DataError(path, "neither a file nor a folder", do)
