"""Options that name a path mean the same wherever they stand."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import typer

from caebench.cli import app
from caebench.cli.options import expanded


def verbs(group: typer.Typer) -> Iterator[Callable[..., Any]]:
    """The function of every verb."""
    yield from (one.callback for one in group.registered_commands if one.callback is not None)
    for one in group.registered_groups:
        yield from verbs(one.typer_instance or app)


def paths(verb: Callable[..., Any]) -> Iterator[tuple[str, Any]]:
    """The options and arguments of a verb that are paths, with what typer is told of them."""
    for name, hint in get_type_hints(verb, include_extras=True).items():
        kind, *told = get_args(hint) or (None,)
        if told and Path in (kind, *get_args(kind)):
            yield name, told[0]


def test_every_option_that_takes_a_path_expands_it():
    found = [(verb.__qualname__, name, told.callback) for verb in verbs(app) for name, told in paths(verb)]
    assert len(found) > 30
    assert [one for one in found if one[2] is not expanded] == []


def test_a_variable_in_an_option_is_filled_in_or_named(desk, monkeypatch):
    monkeypatch.setenv("SCRATCH", str(desk.home / "scratch"))
    assert expanded(Path("$SCRATCH/a")) == desk.home / "scratch" / "a"
    assert expanded(None) is None
    found = desk("plan", "quickstart", "--store", "$NOWHERE/a")
    said = "error: '$NOWHERE/a': the variable NOWHERE is not set. Set it, or write the path in full\n"
    assert (found.status, found.out, found.error) == (2, "", said)


def test_a_variable_in_the_environment_s_store_is_named(desk, monkeypatch):
    monkeypatch.setenv("CAEBENCH_STORE", "$NOWHERE/a")
    found = desk("plan", "quickstart")
    said = "error: '$NOWHERE/a': the variable NOWHERE is not set. Set it, or write the path in full\n"
    assert (found.status, found.out, found.error) == (2, "", said)


def test_a_suite_file_may_be_in_the_home(desk):
    (desk.home / "mine.toml").write_text("a = 1\na = 2\n")
    found = desk("plan", "~/mine.toml")
    assert found.status == 2
    assert found.error.startswith(f"error: {desk.home}/mine.toml: not valid TOML: Cannot overwrite a value")


SAME = """
source = { title = "A suite" }
pretrain = { recipe = "random" }
columns.linear = { header = "LIN", eval = "linear_probe" }
rows = [{ label = "first" }, { label = "second [2]" }]
"""


@pytest.mark.parametrize("verb", [("plan",), ("report", "--suite")])
def test_rows_that_are_the_same_jobs_are_shown(desk, verb):
    (desk.home / "mine.toml").write_text(SAME)
    printed = " ".join(desk(*verb, "~/mine.toml").out.split())
    assert "mine.toml, rows 1 and 2 ('first', 'second [2]'): the same jobs at nano scale" in printed
