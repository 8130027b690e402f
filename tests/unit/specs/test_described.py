"""Descriptions of fields stand below them in the class, and subclasses inherit them."""

from caebench.specs.base import Config
from caebench.specs.described import described


class Parent(Config):
    size: int
    """Pixels of
    a side."""
    kind: str = ""
    other: int = 0
    """The other one."""


class Child(Parent):
    size: int = 3
    other: int = 1
    """Another one."""


def test_a_text_below_a_field_describes_it():
    assert described(Parent) == {"size": "Pixels of a side.", "other": "The other one."}


def test_a_field_that_is_declared_again_keeps_its_description_until_it_has_its_own():
    assert described(Child) == {"size": "Pixels of a side.", "other": "Another one."}


def test_a_class_without_source_has_no_descriptions():
    made = type("Made", (Config,), {"__annotations__": {"size": int}})
    assert described(made) == {}
