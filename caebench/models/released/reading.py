"""Files that strangers made: read without running anything in them.

A pickle may make tensors, plain containers and empty stand-ins for the few classes that released files really hold;
any other name is refused before anything is called. The stand-ins are never the classes that they stand for.
"""

import hashlib
import re
import warnings
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import safe_open
from torch import Tensor

Format = Literal["pickle", "safetensors"]


class StandIn:
    """An object of a class that is not imported: it only keeps its state."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.__dict__.update(state if isinstance(state, dict) else {})


def _empty_dict(*_: Any) -> dict[Any, Any]:
    """A dict with a default: without it."""
    return {}


# What released checkpoints hold beside tensors, and what stands in for it.
OPTIONS = ["argparse.Namespace"]  # BEiT, CAE, DeiT, DINO, iBOT, MAE: `args`
NUMBERS = [  # a best accuracy that NumPy computed
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
    *("numpy.dtype", "numpy.ndarray"),
    *(f"numpy.dtypes.{name}DType" for name in ("Float64", "Float32", "Int64", "Int32", "Bool")),
]
FACTORIES = [f"{module}.{name}" for module in ("builtins", "__builtin__") for name in ("dict", "float", "int", "list")]
CONTAINERS = [
    (OrderedDict, "yacs.config.CfgNode"),  # SimMIM: `config`
    (_empty_dict, "collections.defaultdict"),
]
Allowed = tuple[Any, str]
ALLOWED: list[Allowed] = [*CONTAINERS, *((StandIn, name) for name in (*OPTIONS, *NUMBERS, *FACTORIES))]


@dataclass(frozen=True)
class Content:
    """What a file holds: its entries by name, and the words beside its tensors."""

    path: Path
    format: Format
    entries: Mapping[str, Any]
    metadata: Mapping[str, str]


def sha256_of(path: Path) -> str:
    """A file's SHA-256, in hexadecimal digits.

    Raises:
        ValueError: there is no such file.
    """
    with _existing(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read(path: Path) -> Content:
    """A checkpoint's entries, from a safetensors file or a pickle by its first bytes.

    Raises:
        ValueError: the file is missing, damaged, truncated, holds what is not allowed, or is no table of entries.
    """
    if _is_safetensors(_existing(path)):
        entries, metadata = _read_safetensors(path)
        return Content(path, "safetensors", entries, metadata)
    entries = read_pickle(path, ALLOWED)
    if not isinstance(entries, dict) or not all(isinstance(name, str) for name in entries):
        raise ValueError(f"{path}: holds a {type(entries).__name__}, not a table of named entries. Give a checkpoint.")
    return Content(path, "pickle", entries, {})


def read_pickle(path: Path, allowed: Iterable[Allowed]) -> Any:
    """What `torch.save` wrote, with nothing called but torch's own list and what is allowed here.

    Raises:
        ValueError: the file is damaged, truncated, or names anything else.
    """
    try:
        with torch.serialization.safe_globals(list(allowed)), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickle protocols that torch did not expect
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch, zipfile and pickle raise many types for damaged, truncated and unsafe files
        raise ValueError(f"{path}: {_reason(str(error))}") from error


def _reason(text: str) -> str:
    """Torch's complaint without its advice, which is to trust the file."""
    if found := re.search(r"GLOBAL ([\w.]+)|(?:reduce for unrecognized function|but got) <?([^\n]+)", text):
        what = found[1] or found[2]
        return f"refused: it wants to call `{what}`, which is no plain container; nothing in it was run. Do not use it."
    lines = text.partition("WeightsUnpickler error:")[2].strip() or text.strip() or "it ends too early"
    first = lines.splitlines()[0].removesuffix(".")[:200]
    return f"cannot be read as a checkpoint of tensors: {first}. It is damaged, truncated or of another kind."


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f"{path}: {'a folder' if path.is_dir() else 'no such file'}. Give the path of a checkpoint.")
    return path


def _is_safetensors(path: Path) -> bool:
    """Whether it begins as one: eight bytes of length, then a JSON table."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except Exception as error:  # safetensors raises types of its own
        raise ValueError(f"{path}: not a whole safetensors file: {error}. Fetch it again.") from error
