"""The readable part of a job's name: what in it deviates from its recipe's defaults. For people; the id is the key."""

from collections.abc import Iterator, Mapping
from typing import Any

from caebench.specs.base import Config, is_table
from caebench.specs.identity import full

SHORT = {"masking.ratio": "mask", "global_batch": "batch", "base_lr": "lr"}
MOST = 48  # characters: a file's name has room for 255, with those of the jobs that depend on it
ABSENT = object()


def deviation(default: Config, config: Config) -> str:
    """`mask0.4-decoder_depth0` where these fields differ from the default's; nothing where none does."""
    before, after = dict(_leaves(full(default))), dict(_leaves(full(config)))
    words = [
        _word(path, value)
        for path, value in after.items()
        if before.get(path, ABSENT) != value and path.rpartition(".")[2] != "kind"
    ]
    text = "-".join(words)
    return text if len(text) <= MOST else f"{text[: MOST - 1]}+"


def _leaves(fields: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        if is_table(value):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


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
