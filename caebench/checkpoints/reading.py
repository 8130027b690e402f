"""Untrusted files: read without executing any code in them.

A pickle may create tensors, plain containers and empty stand-ins for the few classes that published files contain. Any
other name is an error before anything is called. The real classes are never imported.
"""

import re
import warnings
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import safe_open
from torch import Tensor

from caebench.checkpoints.archive import MAGIC, check_archive
from caebench.checkpoints.foreign import check_kind
from caebench.checkpoints.harmless import DICTS, INERT, LISTS, OPTIONS
from caebench.files.hashing import require_file
from caebench.files.permissions import check_readable
from caebench.files.visible import visible

Format = Literal["pickle", "safetensors"]
REFUSED = (  # what torch says of a name that is not allowed
    r"GLOBAL (.+?) (?:was not an allowed|whose module)|reduce for unrecognized function <?([^\n]+)|but got <?([^\n]+)"
)
OVERLONG = r"record size|wrong byte size|can't allocate memory|not resizable|out of bounds for storage"


class StandIn:
    """Replaces an object of a class that is not imported, and only keeps its state."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.__dict__.update(state if isinstance(state, dict) else {})


class Inert(StandIn):
    """Replaces an object of a class that is not imported, and keeps nothing."""

    def __setstate__(self, state: Any) -> None:
        pass


class EmptyTable:
    """Replaces a class of tables: makes an empty one, which the unpickler fills."""

    def __new__(cls, *_: Any) -> OrderedDict[Any, Any]:
        """A class that torch fills: no other than this, `dict` and `Counter`."""
        return OrderedDict()


class EmptyList:
    """Replaces a class of lists: makes an empty one, which the unpickler fills."""

    def __new__(cls, *_: Any) -> list[Any]:
        """The only class that torch appends to."""
        return []


Allowed = tuple[Any, str]
KINDS = ((StandIn, OPTIONS), (Inert, INERT), (EmptyTable, DICTS), (EmptyList, LISTS))
ALLOWED: list[Allowed] = [(kind, name) for kind, names in KINDS for name in names]


@dataclass(frozen=True)
class Content:
    """The content of a file: its entries by name, and its metadata."""

    path: Path
    format: Format
    entries: Mapping[str, Any]
    metadata: Mapping[str, str]


MOST_NAMES = 20_000  # in one table: the largest encoders have a thousand
LONGEST_NAME = 1_000


def read(path: Path) -> Content:
    """A checkpoint's entries, from a safetensors file or a pickle by its first bytes.

    Raises:
        ValueError: the file is missing, damaged or truncated, has something that is not allowed, or no named entries.
    """
    if _is_safetensors(require_file(path)):
        entries, metadata = _read_safetensors(path)
        return Content(path, "safetensors", _named(entries, path), metadata)
    entries = read_pickle(path, ALLOWED)
    if not isinstance(entries, dict) or not all(isinstance(name, str) for name in entries):
        raise ValueError(f"{path}: has a {type(entries).__name__}, not a table of named entries. Give a checkpoint.")
    return Content(path, "pickle", _named(entries, path), {})


def check_names(names: Collection[str], path: Path) -> None:
    """Refuse what would take minutes to look through.

    Raises:
        ValueError: there are more names in a table than any encoder has, or one is longer.
    """
    if len(names) > MOST_NAMES or any(len(name) > LONGEST_NAME for name in names):
        what = f"more than {MOST_NAMES:,} names, or one of more than {LONGEST_NAME:,} characters"
        raise ValueError(f"{path}: has {what}: no encoder has. Give a checkpoint of one.")


def _named(entries: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The entries with names that are safe to print."""
    check_names(entries, path)
    named = {visible(name, keep=""): value for name, value in entries.items()}
    if len(named) < len(entries):
        raise ValueError(f"{path}: has two names that differ by control characters alone. Do not use it.")
    return named


def read_pickle(path: Path, allowed: Iterable[Allowed]) -> Any:
    """Read what `torch.save` wrote; only names of torch's own list and of `allowed` may be called.

    Raises:
        ValueError: the file is of another kind, damaged, truncated, claims more than it has, or names anything else.
    """
    check_readable(path)
    check_kind(path)
    if _begins(path, MAGIC):
        check_archive(path)
    try:
        with torch.serialization.safe_globals(list(allowed)), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about unexpected pickle protocols
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch, zipfile and pickle raise many types for damaged, truncated and unsafe files
        raise ValueError(f"{path}: {_reason(str(error))}") from error


def _reason(text: str) -> str:
    """Torch's message without its advice to trust the file, in one line."""
    if found := re.search(REFUSED, text, re.DOTALL):
        what = visible(next(filter(None, found.groups())), keep="")[:200]
        return f"refused: it calls `{what}`, which is not a plain container. Nothing in it was run. Do not use it."
    if re.search(OVERLONG, text):
        return "one of its tensors claims another number of bytes than the file has. Do not use it."
    if "DTensor" in text:
        return "its tensors are shards (DTensor) of several processes. Save the full state of the model."
    if re.search(r"Unsupported operand 1[45]\d", text):
        return "has pickle instructions that `torch.save` does not write. Save it again with `torch.save`."
    lines = text.partition("WeightsUnpickler error:")[2].strip() or text.strip() or "it ends too early"
    first = visible(lines.splitlines()[0].removesuffix("."), keep="")[:200]
    return f"cannot be read as a checkpoint of tensors: {first}. It is damaged, truncated or of another kind."


def _begins(path: Path, magic: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(magic)) == magic


def _is_safetensors(path: Path) -> bool:
    """Whether it begins like one: eight bytes of length, then a JSON table."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except Exception as error:  # safetensors raises its own types
        raise ValueError(f"{path}: not a complete safetensors file: {error}. Fetch it again.") from error
