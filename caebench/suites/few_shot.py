"""What a suite may not say of few-shot data (ADR 43)."""

from collections.abc import Iterator, Mapping
from typing import Any

from caebench.files.toml import brief
from caebench.specs.base import is_table
from caebench.specs.inputs.few_shot import MARK
from caebench.suites.suite import Column

SET = (
    "field 'set.data.few': few-shot data are no single field. Remove it, and write them in a column's `data`, as "
    '"imagenet1k@10shot"; its `draws` says how many draws.'
)


def few_shot_mistakes(column: Column) -> Iterator[str]:
    """What a column says against its few-shot data, or without having any."""
    if sets_few_shot(column.set):
        yield SET
    is_few_shot = column.data is not None and MARK in column.data
    if is_few_shot and column.published is not None:
        said = f"field 'published' is '{brief(column.published)}': published numbers are not of draws of {column.data}."
        yield f"{said} Remove `published`, or name a published few-shot set: imagenet_1pct, imagenet_10pct."
    if not is_few_shot and column.draws is not None:
        said = f"field 'draws' is {column.draws}: only few-shot data are drawn."
        yield f'{said} Remove it, or write `data` as "imagenet1k@10shot".'


def sets_few_shot(fields: Mapping[str, Any]) -> bool:
    """Whether a `set` names few-shot data."""
    return is_table(data := fields.get("data")) and "few" in data
