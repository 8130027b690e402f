"""The JSON Schema of a suite file: its own fields, the arguments of each recipe, and what `set` may name in each."""

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import get_type_hints

from pydantic import TypeAdapter

from caebench.datasets.registry import PUBLISHED
from caebench.specs.base import Config
from caebench.specs.described import described
from caebench.specs.evaluations.dense import DENSE_TASKS, DenseTask
from caebench.specs.inputs.named import forms_of
from caebench.specs.job import Spec
from caebench.specs.methods.base import METHODS, Method
from caebench.specs.registry import EVALUATIONS, KINDS, SOURCES
from caebench.specs.schema import DIALECT, Schema, clean, configs_in, definitions, reference
from caebench.suites.suite import Choice, Row, Suite

ANY_KIND: Mapping[type[Config], Mapping[str, type[Config]]] = {Method: METHODS, DenseTask: DENSE_TASKS}
CELL = r"^[\s\S]+/[^/]+$"  # as `claims.CELL`: editors know no named groups
Recipe = Callable[..., Spec]


class Argument:
    """An argument of a recipe that a suite may give."""

    def __init__(self, recipe: Recipe, parameter: inspect.Parameter) -> None:
        self.name, self.recipe, self.default = parameter.name, recipe, parameter.default

    @property
    def is_required(self) -> bool:
        """Whether it has no default."""
        return self.default is inspect.Parameter.empty

    @property
    def schema(self) -> Schema:
        """Its type, default and description."""
        hint = get_type_hints(self.recipe, include_extras=True)[self.name]
        given = {} if self.is_required or self.default is None else {"default": self.default}
        return {**clean(TypeAdapter(hint).json_schema()), **given, "description": self.description}

    @property
    def description(self) -> str:
        """That of the field of the config which it becomes."""
        for cls in (kind_of_recipe(self.recipe), *(type(part) for part in parts_of(self.recipe).values())):
            if self.name in described(cls):
                return described(cls)[self.name]
        return ""


def arguments(recipe: Recipe) -> dict[str, Argument]:
    """The arguments that a suite may give: an evaluation takes variant and pretraining from its row."""
    given = ("variant", "pretraining") if recipe in EVALUATIONS.values() else ()
    found = inspect.signature(recipe).parameters
    return {name: Argument(recipe, parameter) for name, parameter in found.items() if name not in given}


def kind_of_recipe(recipe: Recipe) -> type[Spec]:
    """The config that it makes."""
    return get_type_hints(recipe)["return"]


@cache
def parts_of(recipe: Recipe) -> dict[str, Config]:
    """The configs in what it makes with its defaults: method, optimisation; nothing where it has no defaults."""
    try:
        made = recipe()
    except ValueError:
        return {}
    return {name: part for name in type(made).model_fields if isinstance(part := getattr(made, name), Config)}


def suite_schema() -> Schema:
    """The schema of a suite file."""
    own, parts = definitions([Suite]), _parts_of_configs()
    whole = own.pop("Suite")
    del whole["properties"]["path"]
    whole["required"].remove("path")
    _complete_row(own)
    _complete_column(own["Column"])
    _complete_claim(own["ClaimPart"])
    settable = {f"set.{name}": settable_of(recipe, parts) for name, recipe in {**SOURCES, **EVALUATIONS}.items()}
    rows = {f"row.{name}": _row_of(name) for name in SOURCES}
    rules = {"allOf": [*map(_shared, SOURCES), _WITHOUT_RECIPE, _WITHOUT_SOURCE]}
    return {"$schema": DIALECT, "title": "Suite of caebench", **whole, **rules, "$defs": own | rows | settable | parts}


def settable_of(recipe: Recipe, parts: Mapping[str, Schema]) -> Schema:
    """What `set` may name of a recipe's config: its fields, with the method or task that it makes."""
    cls = kind_of_recipe(recipe)
    schema = parts[cls.__name__]
    properties = {name: field for name, field in schema["properties"].items() if name not in ("seed", "kind")}
    for name, part in parts_of(recipe).items():
        if name in properties and any(base in configs_in(cls.model_fields[name].annotation) for base in ANY_KIND):
            properties[name] = {**properties[name], **reference(type(part))}
    return {**schema, "properties": properties}


def _parts_of_configs() -> dict[str, Schema]:
    """The configs that a `set` may name parts of: no field is required, and a base class stands for all its kinds."""
    found = definitions([*KINDS.values(), *METHODS.values()])
    loose = {name: {key: part for key, part in schema.items() if key != "required"} for name, schema in found.items()}
    for schema in loose.values():
        schema["properties"].pop("few", None)  # a column's `data` says it
    for base, kinds in ANY_KIND.items():
        loose[base.__name__] = {"anyOf": [reference(cls) for cls in kinds.values()]}
    return loose


def _complete_row(own: dict[str, Schema]) -> None:
    """In a row and in [pretrain], the arguments of recipes, and nothing else."""
    every = {name: one for recipe in SOURCES.values() for name, one in arguments(recipe).items()}
    for cls in (Row, Choice):
        schema = own[cls.__name__]
        schema["properties"] |= {name: {"description": one.description} for name, one in every.items()}
        schema["properties"]["recipe"]["enum"] = list(SOURCES)
        schema["additionalProperties"] = False
    own["Row"]["allOf"] = [{"if": _says("recipe", name), "then": {"$ref": f"#/$defs/row.{name}"}} for name in SOURCES]


def _row_of(name: str) -> Schema:
    """What a row of a recipe may say: its arguments and no others, and fields of its config."""
    taken = _taken(name)
    others = {other for recipe in SOURCES.values() for other in arguments(recipe)} - taken.keys()
    return {"properties": {**taken, **dict.fromkeys(sorted(others), False), "set": {"$ref": f"#/$defs/set.{name}"}}}


def _taken(name: str) -> dict[str, Schema]:
    """The arguments of a recipe, each with its type."""
    return {key: one.schema for key, one in arguments(SOURCES[name]).items()}


def _complete_column(column: Schema) -> None:
    """The metrics of each evaluation, whether it takes a data set, and the fields of its config."""
    column["properties"]["eval"]["enum"] = list(EVALUATIONS)
    column["properties"]["data"]["anyOf"] = forms_of(PUBLISHED)
    column["allOf"] = [{"if": _says("eval", name), "then": _column_of(name)} for name in EVALUATIONS]


def _column_of(name: str) -> Schema:
    metrics, recipe = list(kind_of_recipe(EVALUATIONS[name]).METRICS), EVALUATIONS[name]
    data = {} if "data" in arguments(recipe) else {"data": False}
    rule: Schema = {"properties": {"metric": {"enum": metrics}, **data, "set": {"$ref": f"#/$defs/set.{name}"}}}
    return rule if "top1" in metrics else {**rule, "required": ["metric"]}


def _complete_claim(part: Schema) -> None:
    """Cells may be one or several, and `lower_each` compares with several one by one."""
    cell: Schema = {"type": "string", "pattern": CELL}
    cells: Schema = {"anyOf": [cell, {"type": "array", "items": cell, "minItems": 1}]}
    fields = part["properties"]
    for name in ("higher", "lower"):
        fields[name] = {**cells, "description": fields[name]["description"]}
    fields["lower_each"] = {**cells["anyOf"][1], "description": "Cells that are lower, each compared on its own."}
    part["required"] = ["higher"]
    part["oneOf"] = [{"required": ["lower"]}, {"required": ["lower_each"]}]
    part["not"] = {"required": ["margin", "tolerance"]}


def _says(field: str, value: str) -> Schema:
    """A table whose field has a value."""
    return {"properties": {field: {"const": value}}, "required": [field]}


def _shared(name: str) -> Schema:
    """The rule of a suite whose [pretrain] names a recipe: rows that name none have its arguments and fields."""
    settable, row = {"$ref": f"#/$defs/set.{name}"}, {"$ref": f"#/$defs/row.{name}"}
    return {
        "if": {"properties": {"pretrain": _says("recipe", name)}, "required": ["pretrain"]},
        "then": {
            "properties": {
                "pretrain": {"properties": {**_taken(name), "set": settable}},
                "rows": {"items": {"if": {"not": {"required": ["recipe"]}}, "then": row}},
            }
        },
    }


_QUOTED: Schema = {"properties": {"quoted": {"const": True}}, "required": ["quoted"]}
_WITHOUT_RECIPE: Schema = {
    "if": {"not": {"properties": {"pretrain": {"required": ["recipe"]}}, "required": ["pretrain"]}},
    "then": {"properties": {"rows": {"items": {"anyOf": [{"required": ["recipe"]}, _QUOTED]}}}},
}
_WITHOUT_SOURCE: Schema = {
    "if": {"not": {"required": ["source"]}},
    "then": {
        "properties": {
            "rows": {"items": {"properties": {"quoted": {"const": False}}}},
            "columns": {"additionalProperties": {"properties": {"published": False}}},
        }
    },
}
