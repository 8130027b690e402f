"""What is missing and what is too many, in words: names, and images of a class."""

from collections import Counter
from collections.abc import Sequence

SHOWN = 3  # names


def differing(found: set[str], wanted: set[str]) -> str:
    """Which names are missing and which are too many, the first of each; nothing where they are equal."""
    parts = (("missing", sorted(wanted - found)), ("too many", sorted(found - wanted)))
    return "; ".join(f"{len(names):,} {word}: {shorten(names)}" for word, names in parts if names)


def shorten(items: Sequence[str]) -> str:
    """The first of them, and a sign that there are more."""
    return ", ".join([*items[:SHOWN], *(["..."] if items[SHOWN:] else [])])


def classes_of_odd_size(sizes: Counter[str], wanted: int, num_classes: int) -> str:
    """Which classes lack images or have too many; where they are not of one size, the smallest or the largest."""
    each, rest = divmod(wanted, num_classes)
    odd = sorted(name for name, size in sizes.items() if size != each)
    if not rest and len(odd) <= len(sizes) / 2:
        which = shorten([f"{name} has {sizes[name]:,}" for name in odd])
        return f"{which}, where each class has {each:,}" if odd else ""
    is_short = sizes.total() < wanted
    order = sorted(sizes, key=lambda name: (sizes[name] if is_short else -sizes[name], name))
    which = shorten([f"{name} with {sizes[name]:,}" for name in order])
    return f"the {'smallest' if is_short else 'largest'} classes are {which}"
