"""JSON Schemas of configs, for editors: those of pydantic, with descriptions, and without what TOML cannot say."""

from collections.abc import Iterable
from typing import Any, cast, get_args

from pydantic.json_schema import models_json_schema

from caebench.specs.base import Config, is_table
from caebench.specs.described import described
from caebench.specs.site import Site

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]


def site_schema() -> Schema:
    """The schema of a site file."""
    defs = definitions([Site])
    whole = defs.pop("Site")
    del whole["properties"]["calibration"], defs["Calibration"]  # a file of its own
    return {"$schema": DIALECT, "title": "Site of caebench", **whole, "$defs": defs}


def definitions(classes: Iterable[type[Config]]) -> dict[str, Schema]:
    """The schema of each class, and of each that a field of it may hold, by the class's name."""
    known = {cls.__name__: cls for cls in _reached(classes)}
    _, found = models_json_schema([(cls, "validation") for cls in known.values()])
    defs: dict[str, Schema] = {name: clean(schema) for name, schema in found["$defs"].items()}
    for name, cls in known.items():
        properties = _properties(defs[name])
        for field, text in described(cls).items():
            if field in properties:
                properties[field]["description"] = text
    return defs


def _properties(schema: Schema) -> dict[str, Schema]:
    """The fields of a table, also where something else is allowed in its place."""
    tables: list[Schema] = [schema, *schema.get("anyOf", [])]
    return next((part["properties"] for part in tables if "properties" in part), dict[str, Schema]())


def reference(cls: type[Config]) -> Schema:
    """The schema that refers to a class's definition."""
    return {"$ref": f"#/$defs/{cls.__name__}"}


def configs_in(annotation: Any) -> list[type[Config]]:
    """The configs that a type may hold: of `dict[str, Resources]` or `Sharing | None`."""
    if isinstance(annotation, type) and issubclass(annotation, Config):
        return [annotation]
    return [found for part in get_args(annotation) for found in configs_in(part)]


def _reached(classes: Iterable[type[Config]]) -> list[type[Config]]:
    found: dict[type[Config], None] = {}
    waiting = list(classes)
    while waiting:
        if (cls := waiting.pop()) not in found:
            found[cls] = None
            waiting += [inner for field in cls.model_fields.values() for inner in configs_in(field.annotation)]
    return list(found)


def clean(schema: Any) -> Any:
    """Without null, which TOML lacks, and without pydantic's titles."""
    if isinstance(schema, list):
        return [clean(part) for part in cast(list[Any], schema)]
    if not is_table(schema):
        return schema
    kept = {name: clean(part) for name, part in schema.items() if not _is_noise(name, part)}
    for several in ("anyOf", "oneOf"):
        if several in kept:
            parts = [part for part in kept.pop(several) if part != {"type": "null"}]
            kept |= parts[0] if len(parts) == 1 else {"anyOf": parts}
    return kept


def _is_noise(name: str, part: Any) -> bool:
    """What editors have no use for; `title` may also be a field's name, with a table."""
    in_all = name == "title" and isinstance(part, str)
    return in_all or name == "discriminator" or (name, part) in (("default", None), ("format", "path"))
