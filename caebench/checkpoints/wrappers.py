"""Wrappers in key names: what DDP, FSDP, torch.compile, DeepSpeed and Lightning put around a network's own names."""

from collections.abc import Iterable, Iterator
from itertools import combinations

ANYWHERE = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module")
LEADING = ("model", "backbone", "encoder")  # families have them too, so they are removed only where no family fits
PATCHES = "patch_embed"  # in the name of every patch embedding
MOST = 4  # leading wrappers that are tried


def unwrapped(name: str) -> str:
    """A key without the wrappers that no family has; a key of nothing else is kept."""
    return ".".join(part for part in name.split(".") if part not in ANYWHERE) or name


def removed(names: Iterable[str]) -> tuple[str, ...]:
    """The wrappers that `unwrapped` removes from some names."""
    parts = {part for name in names if unwrapped(name) != name for part in name.split(".")}
    return tuple(f"{wrapper}." for wrapper in ANYWHERE if wrapper in parts)


def peelings(names: Iterable[str]) -> Iterator[tuple[tuple[str, ...], dict[str, str]]]:
    """Removed leading wrappers, and name -> name without them: first the fewest.

    They are those before the class token, or the patch embedding. Names that share only the first of them lose only
    these.
    """
    names = list(names)
    first = [name for name in names if name.endswith("cls_token")] or [n for n in names if PATCHES in n]
    path = next((path for name in first if (path := _leading(name))), [])
    for count in range(1, len(path) + 1):
        for gone in combinations(range(len(path)), count):
            yield tuple(f"{path[i]}." for i in gone), {name: _without(name, path, gone) for name in names}


def _leading(name: str) -> list[str]:
    """The leading wrappers of a name."""
    parts = name.split(".")[: MOST + 1]
    length = next((i for i, part in enumerate(parts) if part not in LEADING), len(parts))
    return parts[: min(length, MOST)]


def _without(name: str, path: list[str], gone: tuple[int, ...]) -> str:
    """A name without some components of the path, as far as it shares the path."""
    parts = name.split(".")
    shared = next((i for i, part in enumerate(path) if parts[i : i + 1] != [part]), len(path))
    return ".".join(part for i, part in enumerate(parts) if i >= shared or i not in gone) or name
