"""The help of every verb: pinned, with an example that the command line takes."""

import shlex

import pytest
from typer.main import get_command

from caebench.cli import GROUPS, VERBS, app
from caebench.suites.published.sets import NAMES
from tests.golden.help import rendered
from tests.golden.update import HERE


def test_no_help_has_changed_unnoticed():
    pinned = (HERE / "help.txt").read_text(encoding="utf8")
    assert rendered() == pinned, "meant? Run .venv/bin/python -m tests.golden.update"


@pytest.mark.parametrize("words", VERBS)
def test_the_example_of_a_verb_is_taken(words):
    """Parsed to its last option, though not run: it names the verb that it is an example of."""
    name, *arguments = shlex.split(VERBS[words].example.partition(" > ")[0])
    assert name == "caebench" and arguments[: len(words.split())] == words.split()
    context = get_command(app).make_context("caebench", arguments)
    while rest := context._protected_args:
        name, command, rest = context.command.resolve_command(context, [*rest, *context.args])
        context = command.make_context(name, rest, parent=context)
    assert context.command.callback is not None and context.info_name == words.split()[-1]


def test_every_panel_and_group_is_in_the_help():
    text = rendered()
    assert all(f"─ {panel} ─" in text for panel in ("Evaluate", "Run", "Look", "Data", "Cluster", "Develop"))
    assert text.count("Example: caebench ") == 1 + len(GROUPS) + len(VERBS)


def test_words_in_brackets_are_shown():
    """rich takes them for markup where nobody escapes them."""
    assert "[slurm]" in rendered() and "[assets]" in rendered()


def test_choices_are_shown():
    text = " ".join(rendered().split())
    shown = (
        "nano|lab|nano-real|lab-real|paper",
        "rich|md|csv|tex|json",
        "auto|cpu|cuda",
        "timm|mmpretrain|official-cae|hf",
        "suite|site",
    )
    assert [choice for choice in shown if choice not in text] == []
    assert [name for name in NAMES if name not in text] == []
