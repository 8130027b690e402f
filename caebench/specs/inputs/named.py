"""A data set as a column, `--on EVALUATION:DATA` or a recipe's `data` names it, with its few-shot suffix (ADR 43)."""

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import AfterValidator, GetJsonSchemaHandler
from pydantic_core import CoreSchema

from caebench.datasets.registry import PUBLISHED
from caebench.specs.inputs.dataset import OwnData, RealData
from caebench.specs.inputs.few_shot import PATTERN, parse
from caebench.specs.own_data import NAME, data_name


class NameOf:
    """Marks a text that is one of some names, with or without a few-shot suffix."""

    def __init__(self, known: Iterable[str]) -> None:
        self.known = known  # read late: other projects add to it

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The type's own schema, with the known names and the form of the suffix."""
        return {**handler(schema), "anyOf": forms_of(self.known)}


def forms_of(known: Iterable[str]) -> list[dict[str, Any]]:
    """The published names, and users' own, both with or without a suffix, for a JSON Schema."""
    return [{"enum": list(known)}, {"pattern": f"^{NAME.pattern}({PATTERN.removesuffix('$')})?$"}]


def known_data(text: str) -> str:
    """A data set's name, published or a user's own, with or without a few-shot suffix.

    Raises:
        ValueError: no data set has such a name, or the suffix is wrong.
    """
    data_name(parse(text).name)
    return text


DataName = Annotated[str, AfterValidator(known_data), NameOf(PUBLISHED)]


def named(data: DataName) -> RealData | OwnData:
    """The data set of that name: a published one, or a user's own.

    Raises:
        ValueError: there is none, or the suffix is wrong.
    """
    name, few = parse(data)
    if name in PUBLISHED:
        return RealData(kind="real", name=name, few=few)
    return OwnData(kind="own", name=name, few=few)
