"""Mistakes in a command line itself: what was typed is shown as text, and a question has to be answered."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from caebench.cli.options import say

UsageError: Any = typer.BadParameter.__mro__[1]  # typer names only some of its subclasses


class MainGroup(TyperGroup):
    """The whole command line."""

    def make_context(self, *arguments: Any, **named: Any) -> Any:
        """Parse the options before the verb."""
        with _in_words():
            return super().make_context(*arguments, **named)

    def invoke(self, ctx: Any) -> Any:
        """Parse the verb's own words, and call it."""
        with _in_words():
            return super().invoke(ctx)


@contextmanager
def _in_words() -> Generator[None]:
    try:
        yield
    except UsageError as error:
        from caebench.files.visible import visible

        error.message = visible(error.message, keep="")
        raise
    except typer.Abort as error:
        say("error: the question was not answered, and nothing was done. Give --yes to go without it.", to=sys.stderr)
        raise typer.Exit(2) from error
