"""Command lines of every verb, which the command line itself names."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, get_args

from tests.fuzz.case import Case
from tests.fuzz.kinds.base import Files
from tests.fuzz.kinds.sites import HERE, SITE
from tests.fuzz.kinds.stores import Stores
from tests.fuzz.values import CONTROLS, NUMBERS, TEXTS, text
from tests.fuzz.verbs import VERBS, Verb

KNOWN = (  # values that some verb takes
    *(
        "mine.toml",
        "quickstart",
        "mine",
        "local",
        "all",
        "nano",
        "lab",
        "paper",
        "cae",
        "mae",
        "official",
        "cae:epochs=5",
    ),
    *(
        "mine.toml/MAE/knn",
        "ablation-targets/T8-RGB pixels/linear",
        "imagenet1k",
        "coco",
        "food101",
        "clipart",
        "ade20k",
    ),
    *(
        "../store",
        "../out",
        "../out/new",
        "../data",
        ".",
        "0",
        "0,1,2",
        "5",
        "-5",
        "vit_b",
        "timm",
        "hf",
        "encoder.pth",
    ),
    *("dalle_encoder", "inception", "0.5,0.5,0.5/0.5,0.5,0.5", "md", "json", "cpu", "auto", "synthetic", "imagenet"),
)
SPLITTING = (
    "--",
    "-",
    "--json=1",
    "--",
    "-h",
    "--help",
    "--store=",
    "-x",
    "--no-such",
    "@file",
    "--json",
    "--site=mine",
)
HEAVY = ("--watch", "--follow", "-f", "--install-completion", "--show-completion")  # which end when a queue does
LONG = "x" * 100_000  # a system takes no longer one


class Arguments:
    """Command lines."""

    name = "arguments"
    needs_torch = False

    def base(self, scratch: Path) -> Files:
        return {**Stores().base(scratch), SITE: HERE, "work/encoder.pth": b"\x80\x02}."}

    def case(self, rng: Random, base: Files) -> Case:
        words = list(_words(rng, rng.choice(list(VERBS.values())), _ids(base)))
        for _ in range(rng.choice([0, 0, 0, 1, 2])):
            words = _disturbed(rng, words)
        return Case(self.name, tuple(_possible(word) for word in words))


def _ids(base: Files) -> list[str]:
    return sorted({name.split("/")[2].rpartition("-")[2] for name in base if name.startswith("store/")})


def _words(rng: Random, verb: Verb, ids: Sequence[str]) -> Iterator[str]:
    """A verb with some of its options, and values for them that are right, nearly right, or anything."""
    yield from verb.words
    for parameter in verb.command.params:
        if parameter.param_type_name == "argument":
            for _ in range(rng.choice([0, 2, 3]) if rng.random() < 0.1 else 1):
                yield _value(rng, parameter, ids)
        elif rng.random() < (0.9 if parameter.required else 0.25) and not set(parameter.opts) & set(HEAVY):
            yield from _option(rng, parameter, ids)


def _option(rng: Random, parameter: Any, ids: Sequence[str]) -> Iterator[str]:
    name = rng.choice([*parameter.opts, *parameter.secondary_opts])
    for _ in range(2 if rng.random() < 0.05 else 1):
        if getattr(parameter, "is_flag", False):
            yield name
        elif rng.random() < 0.2 and name.startswith("--"):
            yield f"{name}={_value(rng, parameter, ids)}"
        else:
            yield from (name, _value(rng, parameter, ids))


def _value(rng: Random, parameter: Any, ids: Sequence[str]) -> str:
    draw = rng.random()
    annotation = parameter.type_descriptor.annotation
    if (choices := get_args(annotation)) and draw < 0.5:
        return str(rng.choice(choices))
    if annotation in (int, float) and draw < 0.6:
        return str(rng.choice([*NUMBERS, 1, 2, 3, 5]))[:400]
    if draw < 0.6:
        return rng.choice([*KNOWN, *ids, *ids, rng.choice(ids)[:4]])
    if draw < 0.63:
        return LONG
    return text(rng)


def _disturbed(rng: Random, words: list[str]) -> list[str]:
    """The words with one too many, too few, or out of place."""
    at = rng.randint(0, len(words))
    action = rng.randrange(5)
    if action == 0 and words:
        return words[: at - 1] + words[at:]
    if action == 1:
        return [*words[:at], rng.choice([*SPLITTING, *TEXTS]), *words[at:]]
    if action == 2:
        return rng.sample(words, len(words))
    if action == 3 and words:
        word = words[at - 1]
        return [*words[: at - 1], word + rng.choice(CONTROLS), *words[at:]]
    return words + words[at:]


def _possible(word: str) -> str:
    """What an operating system can hand over: text without NUL."""
    return word.replace("\0", "").encode("utf8", "replace").decode("utf8")
