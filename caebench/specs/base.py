"""The base of every config: frozen, strict, and explicit about which fields can change a number."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Self, TypeGuard, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema

from caebench.files.paths import expand, expand_text


class NotIdentity:
    """Marks a field that changes speed or place, never a result: `Annotated[int, NOT_IDENTITY]`."""


NOT_IDENTITY = NotIdentity()
UserPath = Annotated[Path, AfterValidator(expand)]  # with `~` and `$NAME` filled in
UserPathText = Annotated[str, AfterValidator(expand_text)]  # a path with more after it


class OneOf:
    """Marks a text that a validator looks up: manual pages and schemas list the known ones."""

    def __init__(self, known: Iterable[str]) -> None:
        self.known = known  # read late: other projects add to it

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The type's own schema, with the known texts."""
        return {**handler(schema), "enum": list(self.known)}


def is_table(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether a value out of TOML or JSON is a table: those have only names as keys."""
    return isinstance(value, dict)


def _make_strict(schema: Any) -> None:
    """Have the numbers and truth values in a schema of pydantic's take no other type."""
    if isinstance(schema, list):
        for inner in cast(list[Any], schema):
            _make_strict(inner)
    elif is_table(schema):
        if schema.get("type") in ("int", "float", "bool"):
            schema["strict"] = True
        for inner in schema.values():
            _make_strict(inner)


class NeedsWholeSetError(ValueError):
    """A data set goes with another one as a whole, of which a site has a subset."""


class Config(BaseModel):
    """A frozen config that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Numbers and truth values as written: pydantic would take `true` for 1, "3" for 3, and 1 for true."""
        schema = handler(source)
        _make_strict(schema)
        return schema

    def replace(self, **changes: Any) -> Self:
        """A validated copy with some fields changed (pydantic's `model_copy` does not validate)."""
        return type(self).model_validate({**{name: getattr(self, name) for name in type(self).model_fields}, **changes})

    def on_site(self, found: "Mapping[str, Config]") -> Self:
        """The same with every data set in it as a site has it: `found` has subsets, and users' own.

        Raises:
            NeedsWholeSetError: a data set reads another one as a whole, of which there is a subset.
            ValueError: the site does not name a user's data set.
        """
        configs = {name: value for name in type(self).model_fields if isinstance(value := getattr(self, name), Config)}
        changed = {name: new for name, value in configs.items() if (new := value.on_site(found)) is not value}
        return self.replace(**changed) if changed else self
