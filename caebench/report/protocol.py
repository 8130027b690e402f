"""How a number was made, in a few words each, and where it deviates from its column.

A difference between two recipes by design is not a deviation: a number is compared with its own column's recipe for its
own variant, and with the data, versions and clean tree of the column's other numbers.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from caebench.specs.base import Config, is_table
from caebench.specs.identity import differing, full, identity
from caebench.specs.inputs.few_shot import MARK
from caebench.specs.job import Protocol, Spec
from caebench.store.records import Record

VERSIONED = ("torch", "torchvision", "timm", "onedl-mmsegmentation", "onedl-mmdetection")


def protocol(config: Spec, record: Record | None) -> Protocol:
    """Feature, norm, pooling, augmentation, epochs, batch, rate, selection, resolution, precision, data, versions."""
    found = config.protocol()
    if record is not None:
        packages = record["provenance"].get("packages", {})
        found.update(record.get("protocol", {}))  # where the encoder decides
        found["data"] = _data(record["fingerprints"])
        found["versions"] = ", ".join(f"{name} {packages[name]}" for name in VERSIONED if packages.get(name))
    return found


def fingerprint(config: Spec, record: Record) -> str:
    """Eight digits that are equal for numbers made in the same way."""
    made = protocol(config, record)
    made["data"] = _data(_of_no_draw(record["fingerprints"]))
    content = {"config": {**undrawn(identity(config)), "seed": None}, **made}  # a new field moves none
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]


def deviations(config: Config, expected: Config, record: Record, usual: Mapping[str, Any]) -> list[str]:
    """`field: the column's -> this number's`, and other differences in how the number was made."""
    lines = differing({**undrawn(full(expected)), "seed": None}, {**undrawn(full(config)), "seed": None})
    planned = expected.protocol() if isinstance(expected, Spec) else {}
    lines += [f"{name}: {planned.get(name)} -> {found}" for name, found in record.get("protocol", {}).items()]
    for split, mark in record["fingerprints"].items():
        if (most := usual["data"].get(split, mark)) != mark:
            lines.append(f"data {split}: {most} -> {mark}")
    for name, version in _versions(record).items():
        if (most := usual["versions"].get(name, version)) != version:
            lines.append(f"{name}: {most} -> {version}")
    if record["provenance"].get("dirty"):
        lines.append("made from a changed working tree")
    for plugin in record["provenance"].get("plugins", []):
        if plugin.get("dirty"):
            lines.append(f"made from a changed working tree of the plug-in {plugin['module']}")
    return lines


def undrawn(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a config without the draw of its few-shot data: draws, as seeds, differ by design."""
    data = fields.get("data")
    if not is_table(data) or not is_table(few := data.get("few")):
        return dict(fields)
    return {**fields, "data": {**data, "few": {**few, "draw": None}}}


def _of_no_draw(fingerprints: Mapping[str, str]) -> dict[str, str]:
    """The fingerprints of whole splits."""
    return {name: mark for name, mark in fingerprints.items() if MARK not in name}


def _data(fingerprints: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {mark}" for name, mark in sorted(fingerprints.items()))


def usual(records: Sequence[Record]) -> dict[str, dict[str, str]]:
    """The data and versions of most of a column's numbers."""
    return {
        "data": _most(record["fingerprints"] for record in records),
        "versions": _most(_versions(record) for record in records),
    }


def _versions(record: Record) -> dict[str, str]:
    packages = record["provenance"].get("packages", {})
    return {name: packages[name] for name in VERSIONED if packages.get(name)}


def _most(tables: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """For each key the most common value, or the first of equally common ones."""
    counts: dict[str, Counter[str]] = {}
    for table in tables:
        for name, value in table.items():
            counts.setdefault(name, Counter())[value] += 1
    return {name: counter.most_common(1)[0][0] for name, counter in counts.items()}
