"""A job's identity: the result-bearing fields of its config that differ from their defaults, and its inputs' ids.

So a new field whose default is the old behaviour keeps every id, and a field marked `NOT_IDENTITY` never enters one.
What a hash cannot see, a change of code that alters numbers, is told by VERSIONS.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from typing import Any, cast

from pydantic.fields import FieldInfo

from caebench.config.base import Config, NotIdentity, is_table
from caebench.config.compared import BEiT
from caebench.config.method import CAE
from caebench.config.stage import Pretrain

ID_LENGTH = 10
NOTHING = object()

# Raise a kind's version when a code change alters its numbers; a method has an entry of its own beside its stage.
VERSIONS: dict[str, int] = {
    "real": 1,
    "embedded": 4,
    "released": 1,
    "dvae": 2,
    "codes": 2,
    "pretrain": 2,
    "pretrain/cae": 1,
    "pretrain/mae": 2,
    "pretrain/beit": 1,
    "pretrain/deit": 2,
    "pretrain/moco_v3": 2,
    "pretrain/dino": 2,
    "pretrain/ibot": 2,
    "random_encoder": 2,
    "imported": 1,
    "linear_probe": 1,
    "linear_probe_grid": 2,
    "attentive_probe": 2,
    "knn": 2,
    "finetune": 2,
    "segmentation": 2,
    "knn_segmentation": 2,
    "lr_grid": 1,
    "detection": 2,
    "pretraining_cost": 1,
}
# Of a pretraining's parts, from their first change on: what does not have the part keeps its id.
PART_VERSIONS: dict[str, int] = {
    "target/dalle": 2,  # codes outside of autocast
    "target/dvae": 2,
    "align_loss/contrastive": 2,  # in float32
}


def job_id(config: Config, input_ids: Mapping[str, str]) -> str:
    """The first digits of a hash over kind, version, identity and inputs."""
    content = {
        "kind": kind_of(config),
        "version": version_of(config),
        "config": identity(config),
        "inputs": dict(sorted(input_ids.items())),
    }
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:ID_LENGTH]


def kind_of(config: Config) -> str:
    """The tag of a stage's config."""
    return str(getattr(config, "kind"))  # noqa: B009 every stage config has one; pyright cannot know


def version_of(config: Config) -> list[int]:
    """Versions of the stage and, for pretraining, of its method and of those of its parts that have changed."""
    if not isinstance(config, Pretrain):
        return [VERSIONS[kind_of(config)]]
    method = config.method
    parts = [f"align_loss/{method.align_loss}"] if isinstance(method, CAE) else []
    parts += [f"target/{method.target.kind}"] if isinstance(method, CAE | BEiT) else []
    own = [VERSIONS[config.kind], VERSIONS[f"{config.kind}/{method.kind}"]]
    return own + [PART_VERSIONS[part] for part in parts if part in PART_VERSIONS]


def identity(config: Config) -> dict[str, Any]:
    """Result-bearing fields that differ from their defaults, in values that JSON holds exactly."""
    return {
        name: canonical(value)
        for name, default in _defaults(type(config))
        if (value := getattr(config, name)) is not default and value != default
    }


@cache
def _defaults(kind: type[Config]) -> tuple[tuple[str, Any], ...]:
    """The result-bearing fields of a class with their defaults; a required one's equals nothing."""
    fields = kind.model_fields.items()
    return tuple((name, NOTHING if f.is_required() else f.get_default()) for name, f in fields if bears_result(f))


def full(config: Config) -> dict[str, Any]:
    """Every result-bearing field, defaults filled in: what a finished job is compared with."""
    fields = type(config).model_fields
    return {
        name: full(value) if isinstance(value := getattr(config, name), Config) else canonical(value)
        for name, field in fields.items()
        if bears_result(field)
    }


def bears_result(field: FieldInfo) -> bool:
    """Whether a field can change a number."""
    return not any(isinstance(mark, NotIdentity) for mark in field.metadata)


def canonical(value: Any) -> Any:
    """A value that hashes the same everywhere.

    Raises:
        TypeError: the value has no stable form; never its `str`.
    """
    match value:
        case None | str() | int():  # bool is an int
            return value
        case Config():
            return identity(value)
        case float():
            return float(repr(value))
        case tuple():
            return [canonical(item) for item in cast(tuple[Any, ...], value)]  # the match tells no item type
        case _:
            raise TypeError(f"{value!r}: a {type(value).__name__} has no canonical form. Give the config a plain type.")


def differing(stored: Mapping[str, Any], today: Mapping[str, Any], prefix: str = "") -> list[str]:
    """`field: stored -> today` for each field of a stored config whose value is another today."""
    lines: list[str] = []
    for name, old in stored.items():
        new = today.get(name)
        if is_table(old) and is_table(new):
            lines += differing(old, new, f"{prefix}{name}.")
        elif old != new:
            lines.append(f"{prefix}{name}: {old} -> {new}")
    return lines
