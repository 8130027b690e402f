"""The help of every verb, in one text."""

import contextlib
import io
from collections.abc import Iterator
from unittest import mock

from typer import rich_utils
from typer.main import get_command

from caebench.cli import GROUPS, VERBS, app

WIDTH = 100


def rendered() -> str:
    """`caebench ... --help` of the command itself, of groups and of verbs."""
    return "\n".join(_pages())


def _pages() -> Iterator[str]:
    command = get_command(app)
    with mock.patch.object(rich_utils, "MAX_WIDTH", WIDTH), mock.patch.object(rich_utils, "FORCE_TERMINAL", False):
        for words in ("", *GROUPS, *VERBS):
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                command.main([*words.split(), "--help"], prog_name="caebench", standalone_mode=False)
            lines = [line.rstrip() for line in printed.getvalue().strip().splitlines()]
            yield "\n".join([f"$ caebench {words} --help".replace("  ", " "), *lines, ""])
