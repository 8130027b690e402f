"""Every field that a user may write, in a suite, a site file or a `set`, says what it means."""

from typing import get_args

import pytest

from caebench.specs import registry
from caebench.specs.base import Config
from caebench.specs.described import described
from caebench.suites import loading


def subclasses(cls: type[Config]) -> set[type[Config]]:
    return {found for child in cls.__subclasses__() for found in (child, *subclasses(child))}


PACKAGES = tuple(module.__name__.rpartition(".")[0] for module in (registry, loading))
CLASSES = sorted(
    (cls for cls in subclasses(Config) if cls.__module__.startswith(PACKAGES)),
    key=lambda cls: (cls.__module__, cls.__name__),
)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_field_is_described(cls):
    """But for a `kind` of one value, which says which class it is."""
    found, tag = described(cls), cls.model_fields.get("kind")
    known = {"kind"} if tag is not None and len(get_args(tag.annotation)) == 1 else set()
    assert [name for name in cls.model_fields if name not in known and not found.get(name)] == []
    assert [text for text in found.values() if not text.endswith(".") or len(text) > 120] == []


def test_the_classes_are_all_there():
    names = {cls.__name__ for cls in CLASSES}
    assert names >= {"Suite", "Row", "Column", "Claim", "Site", "Slurm", "CAE", "KNN", "Optimization"}
