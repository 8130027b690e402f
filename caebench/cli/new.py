"""`caebench new`: a method, an evaluation or a suite of one's own, as files to begin with."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from caebench.cli.options import expanded, say

Name = Annotated[str, typer.Argument(help="Its name: small letters, digits, underscores.", metavar="NAME")]
OutOption = Annotated[Path, typer.Option("--out", callback=expanded, help="The folder to write to.")]


def method(name: Name, out: OutOption = Path()) -> None:
    """Write a package with a pretraining method: masked patches, whose pixels a linear layer predicts."""
    _write_package("method", name, out)


def evaluation(name: Name, out: OutOption = Path()) -> None:
    """Write a package with an evaluation: ridge regression on frozen features."""
    _write_package("evaluation", name, out)


def suite(name: Name, out: OutOption = Path()) -> None:
    """Write a suite file: three rows, two columns."""
    from caebench.templates.writing import write_suite

    path = shlex.quote(str(write_suite(name, out)))
    say(f"{path}: written. Next:\n  caebench suites check {path}\n  caebench run {path}")


def _write_package(kind: str, name: str, out: Path) -> None:
    from caebench.templates.writing import site_lines, write_package

    folder = write_package(kind, name, out)
    path, lines = site_lines(name, folder)
    is_there = path.expanduser().exists()
    where = "in place of the same fields there, before its first [section]" if is_there else "a new file"
    suite_file = shlex.quote(str(folder / "suite.toml"))
    say(f"{folder}: written. Next:")
    say(f"1. Write these lines to {path} ({where}):")
    say("".join(f"     {line}\n" for line in lines), end="")
    say(f"   Or install the package: pip install -e {shlex.quote(str(folder))}")
    say(f"2. caebench check {name}")
    say(f"3. caebench run {suite_file}")
