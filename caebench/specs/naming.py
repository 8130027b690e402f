"""The readable part of a job's name: what in it deviates from its recipe's defaults. For people; the id is the key."""

from collections.abc import Iterator
from typing import Any

from caebench.specs.base import Config
from caebench.specs.identity import bears_result, canonical

SHORT = {"masking.ratio": "mask", "global_batch": "batch", "base_lr": "lr"}
MOST = 48  # characters: a file's name has room for 255, with those of the jobs that depend on it
ABSENT = object()


def deviation(default: Config, config: Config) -> str:
    """`mask0.4-decoder_depth0` where these fields differ from the default's; nothing where none does."""
    words = [_word(path, value) for path, value in _changes(default, config) if path.rpartition(".")[2] != "kind"]
    text = "-".join(words)
    return text if len(text) <= MOST else f"{text[: MOST - 1]}+"


def _changes(before: Any, after: Config, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The result-bearing fields of `after`, by their paths, that `before` lacks or has another value of."""
    for name, info in type(after).model_fields.items():
        old, new = getattr(before, name, ABSENT), getattr(after, name)
        if old is new or not bears_result(info):
            continue
        if isinstance(new, Config):
            yield from _changes(old, new, f"{prefix}{name}.")
        elif isinstance(old, Config) or old is ABSENT or canonical(old) != canonical(new):
            yield f"{prefix}{name}", canonical(new)


def _word(path: str, value: Any) -> str:
    name = next((short for end, short in SHORT.items() if f".{path}".endswith(f".{end}")), path.rpartition(".")[2])
    match value:
        case True:
            return name
        case False | None:
            return f"no_{name}"
        case float():
            return f"{name}{value:g}"
        case list():
            return name + "_".join(map(str, value))  # pyright: ignore[reportUnknownArgumentType] of plain values
        case _:
            return f"{name}{value}" if isinstance(value, int) else f"{name}_{value}"
