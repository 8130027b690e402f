"""Which entry of a file has the encoder: its tensors, also in tables in tables, and what lies beside them."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from caebench.files.visible import visible

RECORD = "caebench"  # in files that we export: what their layout cannot express
ENTRIES = (  # the first that has tensors is read
    *("teacher", "target_encoder", "model", "state_dict", "model_state", "module", "student", "encoder"),
)
AVERAGES = {"model_ema": "model", "state_dict_ema": "state_dict"}  # read if alone, as the entry that they average
TELLING = ("teacher", "student", "model_state", "model", *AVERAGES, "module", "state_dict")  # of a family, most first
LEVELS = 4  # of tables in tables that are looked through: files have two
OTHER_ENTRIES = {  # why they are not used
    "student": "trained by gradient; its average, the teacher, is released",
    "encoder": "trained by gradient; its average, the target encoder, is evaluated",
    "predictor": "the predictor of pretraining",
    "model_ema": "an average of the weights: the project evaluates `model`",
    "optimizer": "training state",
    "args": "training options",
    RECORD: "what this layout cannot express",
}


def no_entry(entries: Mapping[str, Any]) -> str:
    """Why no entry is read."""
    if full := [name for name, value in entries.items() if tensors_of(value)]:
        told = f"several entries have tensors ({', '.join(full[:8])}), and none is one of {', '.join(ENTRIES)}"
        return f"{told}. Give a file with one of them."
    return f"no entry has named tensors. Entries: {', '.join(list(entries)[:8]) or 'nothing'}. Give a checkpoint."


def find_entry(entries: Mapping[str, Any]) -> str:
    """The entry that has the encoder: a known one, or the only one with tensors. Empty if the file is the table."""
    full = [name for name, value in entries.items() if tensors_of(value)]
    known = next((name for name in (*ENTRIES, *AVERAGES) if name in full), "")
    return known or (full[0] if len(full) == 1 and not tensors_of(entries) else "")


def tensors_of(entry: Any) -> dict[str, Tensor]:
    """The tensors of a table of names; empty for anything else."""
    if not isinstance(entry, Mapping):
        return {}
    return {name: value for name, value in entry.items() if isinstance(name, str) and is_tensor(value)}


def is_tensor(value: Any) -> bool:
    """Whether a value is a tensor, of any kind."""
    return isinstance(value, Tensor)


def descend(entries: Mapping[str, Any]) -> tuple[list[str], Mapping[str, Any]]:
    """The levels above the one that has the entry, such as `state_dict` above `model`, and what is in the last."""
    levels: list[str] = []
    while not find_entry(entries) and not tensors_of(entries):
        inner = [name for name, value in entries.items() if name != "optimizer" and _holds(value, LEVELS - len(levels))]
        chosen = next((name for name in (*ENTRIES, *AVERAGES) if name in inner), inner[0] if len(inner) == 1 else None)
        if chosen is None:
            break
        levels.append(chosen)
        entries = {visible(name, keep=""): value for name, value in entries[chosen].items() if isinstance(name, str)}
    return levels, entries


def _holds(value: Any, depth: int) -> bool:
    """Whether a table has tensors, in itself or in a table at most so many levels further down."""
    if depth == 0 or not isinstance(value, Mapping):
        return False
    return bool(tensors_of(value)) or any(
        _holds(one, depth - 1) for name, one in value.items() if isinstance(name, str)
    )


def beside(entries: Mapping[str, Any], levels: Iterable[str]) -> list[str]:
    """The entries next to each of some levels, with the levels above them: `state_dict/optimizer`."""
    found: list[str] = []
    above = ""
    for level in levels:
        found += [f"{above}{visible(str(name), keep='')}" for name in entries if name != level]
        above, entries = f"{above}{level}/", entries[level]
    return found
