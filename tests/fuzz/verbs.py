"""The verbs, as the command line has them: which may end with status 1, and where each may write."""

import os
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

from typer.main import get_command

from caebench.cli import app

STORE, SITES = "--store", "home/.config/caebench/sites"
ROOTS = {  # where a verb may write: the values of these options, or a path below the place
    "run suite": (STORE,),
    "run job": (STORE,),
    "retry": (STORE,),
    "cancel": (STORE,),
    "store": (STORE,),
    "eval": (STORE, "--save"),
    **dict.fromkeys(("new method", "new evaluation", "new suite"), ("--out", "work")),
    "ckpt import": (STORE,),
    "records export": ("--results",),
    "report": ("--out",),
    "ckpt export": ("--output", "work"),
    "site init": (SITES,),
    "data make": ("ROOT",),
    "assets fetch": ("--folder",),
    "bench calibrate": (SITES,),
    **{f"bench {name}": ("--out",) for name in ("pretrain", "probe", "pass", "data", "plan", "ablate")},
}
MAY_FAIL = (  # that run or check something: 1 says that it failed
    *(
        "run suite",
        "run job",
        "eval",
        "check",
        "retry",
        "data check",
        "ckpt verify",
        "assets verify",
        "assets fetch",
        "site check",
    ),
)
DEFAULTS = {STORE: ("store", "work/.caebench/store"), "--results": ("work/results",), "--folder": ("work",)}


class Verb(NamedTuple):
    """A verb with its parameters."""

    words: tuple[str, ...]
    command: Any
    may_fail: bool


@cache
def root_command() -> Any:
    """The whole command line, built once."""
    return get_command(app)


def _leaves(command: Any, words: tuple[str, ...]) -> Iterator[Verb]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield Verb(words, command, " ".join(words) in MAY_FAIL)
        return
    for name, one in inner.items():
        yield from _leaves(one, (*words, name))


VERBS: dict[str, Verb] = {" ".join(verb.words): verb for verb in _leaves(root_command(), ())}


def writes_to(verb: str, arguments: Sequence[str]) -> list[str]:
    """Folders and files that a command line may write to: below `place`, or absolute."""
    roots: list[str] = []
    for root in ROOTS.get(verb, ()):
        if root == "ROOT":
            roots += [_resolved(word) for word in arguments[2:]]
        elif root.startswith("--"):
            given = list(_values(root, arguments))
            roots += [_resolved(value) for value in given] + [f"place/{name}" for name in DEFAULTS.get(root, ())]
        else:
            roots.append(f"place/{root}")
    return roots


def _values(option: str, arguments: Sequence[str]) -> Iterator[str]:
    for number, word in enumerate(arguments):
        if word == option and number + 1 < len(arguments):
            yield arguments[number + 1]
        elif word.startswith(f"{option}="):
            yield word.partition("=")[2]


def _resolved(value: str) -> str:
    """A path that an option has, as `place/...` where it lies below the place."""
    filled = value.replace("~", "/place/home", 1) if value.startswith("~") else value
    for name in ("$HOME", "${HOME}"):
        filled = filled.replace(name, "/place/home")
    whole = os.path.normpath(os.path.join("/place/work", filled))
    return whole.removeprefix("/") if f"{whole}/".startswith("/place/") else whole
