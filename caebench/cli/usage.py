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
        if type(error).__name__ == "NoArgsIsHelpError":  # `caebench` alone, or a group: its message is the help
            raise
        line = _line(error.format_message())
        said = f"error: {line}" + ("" if line.endswith((".", "?")) else ".")
        say(said + (f" Help: {error.ctx.command_path} -h" if error.ctx is not None else ""), to=sys.stderr)
        raise typer.Exit(2) from error
    except KeyboardInterrupt as error:
        say("\ninterrupted", to=sys.stderr)
        raise typer.Exit(1) from error
    except typer.Abort as error:
        say("error: the question was not answered, and nothing was done. Give --yes to go without it.", to=sys.stderr)
        raise typer.Exit(2) from error


def _line(text: str) -> str:
    """In one line, with control characters as text."""
    from caebench.files.visible import visible

    return visible(" ".join(text.split("\n")), keep="")
