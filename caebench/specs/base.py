"""The base of every config: frozen, strict, and explicit about which fields can change a number."""

from typing import Any, Self, TypeGuard

from pydantic import BaseModel, ConfigDict


class NotIdentity:
    """Marks a field that changes speed or place, never a result: `Annotated[int, NOT_IDENTITY]`."""


NOT_IDENTITY = NotIdentity()


def is_table(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether a value out of TOML or JSON is a table: those have only names as keys."""
    return isinstance(value, dict)


class Config(BaseModel):
    """A frozen config that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def replace(self, **changes: Any) -> Self:
        """A validated copy with some fields changed (pydantic's `model_copy` does not validate)."""
        return type(self).model_validate({**{name: getattr(self, name) for name in type(self).model_fields}, **changes})
