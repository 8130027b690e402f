"""What goes wrong with data on disk, said to the person who can mend it."""

import json
from pathlib import Path
from typing import Any

from caebench.files.permissions import denied_at


class DataError(ValueError):
    """A data set that is missing, empty or not what its layout promises: where, what, and what to do."""

    def __init__(self, where: Path | str, what: str, do: str) -> None:
        super().__init__(f"{where}: {what}. {do}")
        self.where, self.what, self.do = str(where), what, do

    def __reduce__(self) -> tuple[type["DataError"], tuple[str, str, str]]:
        """Keep all three parts when a loader's worker process hands the error on."""
        return type(self), (self.where, self.what, self.do)


def read_json(path: Path, do: str) -> Any:
    """The content of a JSON file.

    Raises:
        DataError: it is missing, may not be read, or is no JSON.
    """
    text = read_text(path, do)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(path, f"not readable as JSON ({error})", do) from error


def read_text(path: Path, do: str) -> str:
    """The content of a text file, without the mark that Windows may put before it.

    Raises:
        DataError: it is missing, may not be read, or is no text in UTF-8.
    """
    if path.exists() and not path.is_file():  # reading a pipe would wait for ever
        raise DataError(path, "no regular file", do)
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise DataError(path, "no such file", do) from error
    except PermissionError as error:
        raise DataError(path, *denied_at(path)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(path, f"not readable as text ({error})", do) from error
