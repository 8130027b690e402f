"""docs/reference/errors.md and SECURITY.md say what the code says: messages, classes, states and tests exist."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import get_args

import pytest

from caebench.cli import status
from caebench.execution import local
from caebench.store.store import State

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "caebench"
PAGE = (ROOT / "docs" / "reference" / "errors.md").read_text(encoding="utf8")
SHORTEST = 5  # characters of a message's fixed part that is looked for


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows(title: str) -> list[list[str]]:
    """The cells of a section's table, without its head."""
    lines = [line for line in section(title).splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


@cache
def texts() -> tuple[str, ...]:
    """Every string of the package and the fixed parts of every f-string; no docstrings."""
    found: list[str] = []
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf8"))
        said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        found += [
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said
        ]
    return tuple(found)


MESSAGES = [message for row in rows("Messages") for message in re.findall(r"`([^`]+)`", row[0])]


def test_the_page_has_messages():
    assert len(MESSAGES) >= 20


@pytest.mark.parametrize("message", MESSAGES)
def test_every_message_is_in_the_source(message):
    parts = [part for part in re.split(r"\.\.\.", message) if len(part.strip()) >= SHORTEST]
    assert parts, "nothing of it could be looked for"
    missing = [part for part in parts if not any(part.strip() in text for text in texts())]
    assert missing == []


def exceptions() -> set[str]:
    """The exception classes of the package, by their bases."""
    classes = {
        node.name: {ast.unparse(base) for base in node.bases}
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8")))
        if isinstance(node, ast.ClassDef)
    }
    found = {"Exception", "ValueError", "RuntimeError", "ArithmeticError", "OSError", "KeyError", "TypeError"}
    builtin = set(found)
    while new := {name for name, bases in classes.items() if bases & found} - found:
        found |= new
    return found - builtin


def test_every_exception_class_is_named_and_no_other():
    assert set(re.findall(r"`([A-Z]\w+)`", section("Exceptions"))) - {"ValueError", "OSError"} == exceptions()


def test_every_state_of_a_job_is_named_and_no_other():
    named = {row[0].strip("`") for row in rows("States of a job")}
    assert named == {*get_args(State), *status.ORDER, *status.ENDED}
    assert {*get_args(local.Outcome)} <= set(re.findall(r"`(\w+)`", section("States of a job")))


@pytest.mark.parametrize("page", ["SECURITY.md", "docs/reference/errors.md", "docs/reliability.md"])
def test_every_test_that_a_page_names_is_there(page):
    named = re.findall(r"`(tests/[^`]+)`", (ROOT / page).read_text(encoding="utf8"))
    assert named and [path for path in named if not (ROOT / path).exists()] == []


def test_every_entry_point_is_named_as_trusted():
    groups = {text for text in texts() if re.fullmatch(r"caebench\.(specs|stages|methods|datasets)", text)}
    security = (ROOT / "SECURITY.md").read_text(encoding="utf8")
    assert len(groups) == 4 and [group for group in groups if f"`{group}`" not in security] == []
