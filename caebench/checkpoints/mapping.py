"""From a file's entries to one encoder's tensors under our names: choose the entry and the family, map the keys.

How a family is recognised and how its keys map is data, a row of `caebench.specs.families`; nothing here names one.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from caebench.checkpoints.entries import (
    AVERAGES,
    OTHER_ENTRIES,
    RECORD,
    TELLING,
    beside,
    descend,
    find_entry,
    is_tensor,
    no_entry,
    tensors_of,
)
from caebench.checkpoints.pixels import stats_from_options
from caebench.checkpoints.reading import Content, check_names
from caebench.checkpoints.tensors import fault_of
from caebench.checkpoints.wrappers import peelings, removed, unwrapped
from caebench.files.visible import visible
from caebench.models.vit import sincos_positions
from caebench.specs.architecture import Architecture, from_dict
from caebench.specs.families import BY_NAME, FAMILIES, known_family
from caebench.specs.family import Family, Names, Patterns
from caebench.specs.pixel_stats import SourcedStats, canonical_name
from caebench.specs.variants import Variant

OWN_RECORD = "encoder"  # in the metadata of our own encoder file
POSITIONS = r"(^|\.)(pos_embed|position_embeddings|position_embedding\.weight|visual\.positional_embedding)$"
REJECTED: Names = (  # in any family
    (
        r"(^|\.)(fc_norm|pooler\.layernorm)\.",
        "it was fine-tuned with mean pooling: its norm is after the pooling, so there is no class token after a final "
        "norm. Give the file from before fine-tuning",
    ),
    (
        r"(^|\.)(dist_token|distillation_token|head_dist)\b",
        "it is a distilled DeiT: a second special token takes part in attention. Give the file without distillation",
    ),
)


NO_ENCODER: Names = (  # why no family fits
    (r"(^|\.)token_embedding\.weight$", "It is a text tower: it has no image encoder. Give the vision tower's file."),
)


class Record(NamedTuple):
    """The metadata in our own files that their layout cannot express."""

    layout: str
    variant: Variant
    norm_eps: float
    is_shared: bool  # one relative position bias for all blocks
    pixel_stats: str | None  # None: an older file
    architecture: Architecture


@dataclass(frozen=True)
class Table:
    """The tensors of one entry, without wrappers, and the other entries with the reason why each is unused."""

    entry: str
    tensors: dict[str, Tensor]
    wrappers: tuple[str, ...]  # that were removed from the names
    others: dict[str, str]
    record: Record | None
    pixels: SourcedStats | None  # pixel statistics in the file itself


@dataclass
class Mapped:
    """Tensors under our names, and the use of each key of the file."""

    state: dict[str, Tensor]
    sources: dict[str, str]  # theirs -> ours
    unused: dict[str, str]  # theirs -> why


def unwrap(content: Content) -> Table:
    """The entry that has the encoder.

    Raises:
        ValueError: no entry has tensors.
    """
    outer, entries = descend(content.entries)
    entry = find_entry(entries)
    tensors = tensors_of(entries[entry] if entry else entries)
    if not tensors:
        raise ValueError(f"{content.path}: {no_entry(entries)}")
    check_names(tensors, content.path)
    rest = [name for name, value in entries.items() if (name != entry if entry else not is_tensor(value))]
    others = {name: OTHER_ENTRIES.get(name, "training state") for name in (*beside(content.entries, outer), *rest)}
    bare = {unwrapped(visible(name, keep="")): tensor for name, tensor in tensors.items()}
    wrappers = removed(tensors)
    if len(bare) < len(tensors):
        listed = ", ".join(f"'{wrapper}'" for wrapper in wrappers) or "an escape"
        raise ValueError(f"{content.path}: has names with and without {listed} for one tensor. Give one of them.")
    record = _record(content)
    noted = SourcedStats(record.pixel_stats, "its own note") if record and record.pixel_stats else None
    levels = [*outer, entry] if entry else outer
    named = next((name for name in TELLING if name in levels), entry)
    wrappers = (*(f"{level}/" for level in levels if level != named), *wrappers)
    options = entries.get("args", content.entries.get("args"))
    return Table(named, bare, wrappers, others, record, noted or stats_from_options(options))


def _record(content: Content) -> Record | None:
    """The note in our own file; None in other files.

    Raises:
        ValueError: the note is invalid.
    """
    for name in (RECORD, OWN_RECORD):
        text = content.metadata.get(name) or content.entries.get(name)
        if isinstance(text, str):
            try:
                found = {"layout": OWN_RECORD, "norm_eps": 1e-6, **json.loads(text)}
                dim, depth, heads, patch = (int(number) for number in found["variant"])
                is_shared = found.get("relative_position_bias") == "shared"
                pixels = found.get("pixel_stats")
                return Record(
                    str(found["layout"]),
                    Variant(dim, depth, heads, patch),
                    float(found["norm_eps"]),
                    is_shared,
                    None if pixels is None else canonical_name(str(pixels)),
                    from_dict(found.get("architecture", {})),
                )
            except (ValueError, TypeError, KeyError, OverflowError, AttributeError, RecursionError) as error:
                raise ValueError(f"{content.path}: its note '{name}' cannot be read: {error!r}.") from error
    return None


def facts_of(table: Table, content: Content) -> list[str]:
    """What a family's patterns are matched against: names as `entry/name`, other entries, facts about the content."""
    names = [f"{AVERAGES.get(table.entry, table.entry)}/{name}" for name in table.tensors]
    heads = [tensor for name, tensor in table.tensors.items() if name == "lm_head.weight"]
    return [
        *names,
        *(f"{name}/" for name in table.others),
        f"positions: {positions_of(table.tensors)}",
        f"format: {content.format}",
        *("lm_head: square" for head in heads if head.ndim == 2 and head.shape[0] == head.shape[1]),
        *([f"record: {table.record.layout}"] if table.record else []),
    ]


def positions_of(tensors: Mapping[str, Tensor]) -> str:
    """The kind of positions: one of the two fixed sin-cos orders, learnt, or none."""
    found = next((tensor for name, tensor in tensors.items() if re.search(POSITIONS, name)), None)
    if found is None:
        return "none"
    if fault_of(found) or not found.is_floating_point():
        return "learnt"  # an error later (`require_plain`)
    if found.ndim != 3 or (grid := grid_of_positions(found.shape[1])) is None or found.shape[2] % 4:
        return "learnt"
    expected = sincos_positions(grid, found.shape[2])[0].unflatten(0, (grid, grid))
    patches = found[0, -(grid**2) :].float().unflatten(0, (grid, grid))
    if torch.allclose(patches, expected, atol=1e-2, rtol=0):
        return "fixed, rows first"  # CAE, MoCo v3
    return "fixed, columns first" if torch.allclose(patches, expected.transpose(0, 1), atol=1e-2, rtol=0) else "learnt"


def grid_of_positions(length: int, class_token: bool = True) -> int | None:
    """The side of a square grid with this many positions, with or without one for the class token."""
    for patches in (length - 1, length) if class_token else (length,):
        if patches > 0 and math.isqrt(patches) ** 2 == patches:
            return math.isqrt(patches)
    return None


def recognise(table: Table, content: Content, named: str | None) -> tuple[Table, Family]:
    """The family, and the table without the leading wrappers that hide its names.

    Raises:
        ValueError: no family fits, or not the named one.
    """
    for candidate in (table, *_peeled(table)):
        try:
            family = choose(candidate, content, named)
        except ValueError:
            continue
        if any(_ours(name, family) == "patch_embed.weight" for name in candidate.tensors):
            return candidate, family
    return table, choose(table, content, named)


def _peeled(table: Table) -> Iterator[Table]:
    """The table without some leading wrappers, if all its names stay different."""
    for gone, names in peelings(table.tensors):
        tensors = {names[name]: tensor for name, tensor in table.tensors.items()}
        if len(tensors) == len(names):
            yield replace(table, tensors=tensors, wrappers=(*table.wrappers, *gone))


def choose(table: Table, content: Content, named: str | None) -> Family:
    """The family that is auto-detected from content, or the one that the user names.

    Raises:
        ValueError: no family fits, or not the named one.
    """
    facts = facts_of(table, content)
    found = _noted(table.record) or next((f for f in FAMILIES if any(matches(s, facts) for s in f.patterns)), None)
    if named is None:
        if found is None:
            raise ValueError(f"{content.path}: no family fits. {_what(table)} Known: {', '.join(BY_NAME)}.")
        return found
    family = BY_NAME[known_family(named)]
    if family is not found and not any(matches(patterns, facts) for patterns in (*family.patterns, *family.claims)):
        looks = f"It looks like {found.title} (family '{found.name}')." if found else _what(table)
        raise ValueError(f"{content.path}: not a file of {family.title}. {looks} Give another file or family.")
    return family


def _noted(record: Record | None) -> Family | None:
    """The family in the note of our own file."""
    return next((family for family in FAMILIES if record and family.noted_as == record.layout), None)


def matches(patterns: Patterns, facts: Iterable[str]) -> bool:
    """Whether every pattern matches, and none of those with `!`."""
    facts = list(facts)
    found = {one: any(re.search(one.removeprefix("!"), fact) for fact in facts) for one in patterns}
    return all(seen != one.startswith("!") for one, seen in found.items())


def _what(table: Table) -> str:
    for pattern, why in NO_ENCODER:
        if any(re.search(pattern, name) for name in table.tensors):
            return why
    names = ", ".join(list(table.tensors)[:4])
    return f"Its {len(table.tensors)} tensors begin with {names}."


def map_names(table: Table, family: Family, path: object) -> Mapped:
    """Every key of the table: ours, or unused for a reason.

    Raises:
        ValueError: a name is neither, or belongs to a kind of file without a final norm.
    """
    for name in table.tensors:
        for pattern, why in REJECTED:
            if re.search(pattern, name):
                raise ValueError(f"{path}: has '{name}': {why}.")
    mapped, unknown = Mapped({}, {}, {}), []
    for name, tensor in table.tensors.items():
        inner = _inner(name, family)
        if why := reason(name, inner, family):
            mapped.unused[name] = why
        elif inner is None:
            unknown.append(name)
        elif (ours := rename(inner, family)) in mapped.state:
            raise ValueError(f"{path}: '{name}' and another name both map to {ours}. Give a file with one of them.")
        else:
            mapped.state[ours], mapped.sources[name] = tensor, ours
    if unknown:
        raise ValueError(f"{path}: {_unknown(unknown, family)}")
    return mapped


def _inner(name: str, family: Family) -> str | None:
    """A name without the family's prefix; None if it has none."""
    return re.sub(f"^{family.prefix}", "", name) if re.match(family.prefix, name) else None


def _ours(name: str, family: Family) -> str | None:
    """Our name for a key; None if it is not the encoder's."""
    inner = _inner(name, family)
    return None if inner is None else rename(inner, family)


def _unknown(names: list[str], family: Family) -> str:
    return (
        f"{len(names)} names are neither the encoder's nor known as unused: {', '.join(names[:5])}. "
        f"It was read as {family.title}. Name another family, or see docs/checkpoints.md for the known ones."
    )


def reason(name: str, inner: str | None, family: Family) -> str | None:
    """Why a key is unused; None if it is the encoder's, or unknown."""
    for pattern, why in family.unused:
        if re.search(pattern, name) or (inner is not None and re.search(pattern, inner)):
            return why
    return None


def rename(name: str, family: Family) -> str:
    """Our name for the family's."""
    for pattern, ours in family.names:
        changed = re.sub(pattern, ours, name)
        if changed != name:
            return changed
    return name
