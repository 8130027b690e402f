"""A small checker of JSON Schema: the keywords that caebench's schemas use. Another keyword in a schema is an error."""

import re
from collections.abc import Iterator
from typing import Any

TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}
PROSE = {"$schema", "$defs", "title", "description", "default"}
KNOWN = {
    *("$ref", "type", "enum", "const", "anyOf", "allOf", "oneOf", "not", "if", "then", "properties", "required"),
    *("additionalProperties", "propertyNames", "items", "prefixItems", "minItems", "maxItems", "minimum", "maximum"),
    *("exclusiveMinimum", "exclusiveMaximum", "pattern", "minLength", "minProperties"),
}


def problems(schema: Any, value: Any, root: Any = None, place: str = "") -> list[str]:
    """What of a value a schema refuses, each with its place."""
    root = schema if root is None else root
    if isinstance(schema, bool):
        return [] if schema else [f"{place}: not allowed"]
    assert set(schema) <= KNOWN | PROSE, f"{place}: unknown keywords {set(schema) - KNOWN - PROSE}"
    return [
        *_applied(schema, value, root, place),
        *_of_any_value(schema, value, place),
        *(_of_table(schema, value, root, place) if isinstance(value, dict) else ()),
        *(_of_list(schema, value, root, place) if isinstance(value, list) else ()),
        *(_of_number(schema, value, place) if isinstance(value, int | float) and not isinstance(value, bool) else ()),
    ]


def _applied(schema: dict[str, Any], value: Any, root: Any, place: str) -> Iterator[str]:
    """Schemas for the value as a whole."""

    def fits(other: Any) -> bool:
        return not problems(other, value, root, place)

    if "$ref" in schema:
        yield from problems(root["$defs"][schema["$ref"].removeprefix("#/$defs/")], value, root, place)
    for other in schema.get("allOf", ()):
        yield from problems(other, value, root, place)
    if "anyOf" in schema and not any(fits(other) for other in schema["anyOf"]):
        yield f"{place}: fits none of anyOf"
    if "oneOf" in schema and sum(fits(other) for other in schema["oneOf"]) != 1:
        yield f"{place}: fits not one of oneOf"
    if "not" in schema and fits(schema["not"]):
        yield f"{place}: fits what it must not"
    if "if" in schema and fits(schema["if"]):
        yield from problems(schema.get("then", True), value, root, place)


def _of_any_value(schema: dict[str, Any], value: Any, place: str) -> Iterator[str]:
    wanted = schema.get("type")
    if wanted and (not isinstance(value, TYPES[wanted]) or (isinstance(value, bool) and wanted != "boolean")):
        yield f"{place}: {value!r} is no {wanted}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{place}: {value!r} is none of {schema['enum']}"
    if "const" in schema and (value != schema["const"] or type(value) is not type(schema["const"])):
        yield f"{place}: {value!r} is not {schema['const']!r}"
    if "pattern" in schema and isinstance(value, str) and not re.search(schema["pattern"], value):
        yield f"{place}: {value!r} does not match {schema['pattern']}"
    if isinstance(value, str) and len(value) < schema.get("minLength", 0):
        yield f"{place}: {value!r} is too short"


def _of_table(schema: dict[str, Any], value: dict[str, Any], root: Any, place: str) -> Iterator[str]:
    own, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    yield from (f"{place}: no {name}" for name in schema.get("required", ()) if name not in value)
    if len(value) < schema.get("minProperties", 0):
        yield f"{place}: {len(value)} entries"
    for name, inner in value.items():
        yield from problems(own.get(name, others), inner, root, f"{place}.{name}")
        yield from problems(schema.get("propertyNames", True), name, root, f"{place}.{name}")


def _of_list(schema: dict[str, Any], value: list[Any], root: Any, place: str) -> Iterator[str]:
    first = schema.get("prefixItems", [])
    for number, inner in enumerate(value):
        wanted = first[number] if number < len(first) else schema.get("items", True)
        yield from problems(wanted, inner, root, f"{place}.{number}")
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        yield f"{place}: {len(value)} entries"


def _of_number(schema: dict[str, Any], value: float, place: str) -> Iterator[str]:
    low, high = schema.get("minimum", value), schema.get("maximum", value)
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    fits = low <= value <= high and (above is None or value > above) and (below is None or value < below)
    if not fits:
        yield f"{place}: {value} is out of range"
