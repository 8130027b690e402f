"""The generated half of docs/reference/*.md: tables of every field, from the models."""

import inspect
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from caebench.datasets.own.formats import WHAT
from caebench.datasets.registry import OWN as DATASETS
from caebench.specs.base import Config
from caebench.specs.described import described
from caebench.specs.registry import OWN
from caebench.specs.schema import Schema, site_schema
from caebench.specs.site import Assets, DataFolder, Site
from caebench.specs.slurm import Resources, Slurm
from caebench.suites.claims import Claim, ClaimPart
from caebench.suites.schema import arguments, kind_of_recipe, suite_schema
from caebench.suites.suite import Choice, Column, Origin, Suite
from caebench.suites.suite import Row as SuiteRow

BEGIN = "## Every field\n"
FOLDER = Path(__file__).parents[1] / "docs" / "reference"
Row = list[str]


def table(head: Row, rows: list[Row]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines) + "\n"


def code(value: Any) -> str:
    """A value as TOML, in a code span; nothing for None."""
    return "" if value is None else f"`{toml(value)}`"


def toml(value: Any) -> str:
    """A value as TOML writes it in one line."""
    if isinstance(value, Config):
        value = value.model_dump(mode="json", exclude_none=True)
    if isinstance(value, Mapping):
        inner = ", ".join(f"{name} = {toml(one)}" for name, one in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value if isinstance(value, bool | int) else str(value), ensure_ascii=False)


RANGES = {
    "exclusiveMinimum": "above {}",
    "minimum": "at least {}",
    "exclusiveMaximum": "below {}",
    "maximum": "at most {}",
}
WORDS = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "object": "table"}


def type_words(schema: Schema, defs: Mapping[str, Schema]) -> str:
    """A type in words: what may be written, and its range."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        return type_words(defs[name], defs) if name in defs else "table"
    if "@" in schema.get("pattern", ""):
        return "one of these with `@1%` or `@10shot`"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(type_words(part, defs) for part in schema["anyOf"]))
    if "enum" in schema:
        return "one of " + ", ".join(f"`{name}`" for name in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("type") == "array":
        return f"list of {type_words(schema.get('items', {'type': 'integer'}), defs)}"
    limits = [words.format(f"{schema[name]:g}") for name, words in RANGES.items() if name in schema]
    return ", ".join([WORDS[schema.get("type", "object")], *limits])


def fields(cls: type[Config], schema: Schema, defs: Mapping[str, Schema], examples: list[dict[str, Any]]) -> str:
    """The table of a config's own fields, each with an example out of some tables of TOML."""
    rows: list[Row] = []
    for name, one in schema["properties"].items():
        if name in cls.model_fields or name == "lower_each":
            shown = "required" if name in schema.get("required", ()) else default(cls, name)
            rows.append([f"`{name}`", type_words(one, defs), shown, example(examples, name), one["description"]])
    return table(["field", "type", "default", "example", "meaning"], rows)


def default(cls: type[Config], name: str) -> str:
    """A field's default; nothing where that is an absence."""
    about = cls.model_fields.get(name)
    value = None if about is None or about.is_required() else about.get_default(call_default_factory=True)
    return "" if isinstance(value, Config) or value in (None, (), {}) else code(value)


def example(tables: list[dict[str, Any]], name: str) -> str:
    """The first of some tables that has a field, as a line of TOML."""
    value = next((one[name] for one in tables if name in one), None)
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return f"`[[{name}]]`" if name != "parts" else "`parts = [{ ... }]`"
    if isinstance(value, dict) and name in ("source", "pretrain", "columns", "data", "assets", "slurm", "stages"):
        first = next(iter(value))
        section = f"slurm.stages.{first}" if name == "stages" else f"columns.{first}" if name == "columns" else name
        return f"`[{section}]`"
    return "" if value is None else f"`{name} = {toml(value)}`"


def page_example(page: str) -> dict[str, Any]:
    """The page's example; what is commented out there because it excludes its neighbour is in `alternatives`."""
    text = page[page.index("```toml\n") + 8 :].partition("```")[0]
    others = re.findall(r"^# (\w+ = .*)$", text, re.MULTILINE)
    return {**tomllib.loads(text), "alternatives": [tomllib.loads(line) for line in others]}


def settable(made: Config, defs: Mapping[str, Schema], prefix: str = "set") -> Iterator[Row]:
    """The fields that `set` may name, those of nested tables too, with a recipe's defaults."""
    for name, texts in described(type(made)).items():
        value, path = getattr(made, name), f"{prefix}.{name}"
        if path == "set.seed" or name == "few":  # seeds are no part of a suite; few-shot data are a column's `data`
            continue
        schema = defs[type(made).__name__]["properties"][name]
        if isinstance(value, Config):
            kinds = [part["properties"]["kind"]["const"] for part in members(schema, defs)]
            shown = code(value.kind) if kinds else ""
            yield [f"`{path}`", f"table, `kind` one of {', '.join(kinds)}" if kinds else "table", shown, texts]
            yield from settable(value, defs, path)
        else:
            yield [f"`{path}`", type_words(schema, defs), code(value), texts]


def members(schema: Schema, defs: Mapping[str, Schema]) -> list[Schema]:
    """The tables that a field may hold one of, each with its kind; none where there is only one."""
    parts = [defs[part["$ref"].removeprefix("#/$defs/")] for part in schema.get("anyOf", ()) if "$ref" in part]
    return [part for part in parts if "const" in part.get("properties", {}).get("kind", {})]


def recipe_section(name: str, recipe: Callable[..., Any], defs: Mapping[str, Schema], facts: str) -> str:
    """A recipe: what it is, its arguments, and what `set` may name."""
    first = " ".join((inspect.getdoc(recipe) or "").split("\n\n")[0].split())
    given = [
        [f"`{key}`", type_words(one.schema, defs), code(None if one.is_required else one.default), one.description]
        for key, one in arguments(recipe).items()
    ]
    head = ["argument", "type", "default", "meaning"]
    lines = [f"### `{name}`\n", f"{first}\n", *([facts] if facts else []), *([table(head, given)] if given else [])]
    try:
        rows = list(settable(recipe(), defs))
    except ValueError:  # it has arguments without which it makes nothing, and its config has no fields beyond them
        rows = []
    return "\n".join([*lines, *([table(["field", "type", "default", "meaning"], rows)] if rows else [])])


def metrics(recipe: Callable[..., Any]) -> str:
    """Which numbers of an evaluation a column may show, and of which data sets."""
    cls = kind_of_recipe(recipe)
    shown = ", ".join(f"`{name}` ({cls.unit(name)})" for name in cls.METRICS)
    better = "" if cls.HIGHER_IS_BETTER else " Lower is better."
    return f"Metrics: {shown}.{better}\n"


def suites_page(page: str) -> str:
    """The generated half of the page on suite files."""
    schema, given = suite_schema(), page_example(page)
    defs = schema["$defs"]
    rows, columns, claims = given["rows"], list(given["columns"].values()), given["claims"]
    parts = [part for claim in claims for part in claim["parts"]]
    own = [
        ("The file", Suite, schema, [given]),
        ("`[source]`", Origin, defs["Origin"], [given["source"]]),
        ("`[pretrain]`", Choice, defs["Choice"], [given["pretrain"], *rows]),
        ("`[columns.NAME]`", Column, defs["Column"], columns),
        ("`[[rows]]`", SuiteRow, defs["Row"], rows),
        ("`[[claims]]`", Claim, defs["Claim"], claims),
        ("A part of a claim", ClaimPart, defs["ClaimPart"], parts),
    ]
    text = [f"### {title}\n\n{fields(cls, one, defs, some)}" for title, cls, one, some in own]
    text += ["A row and `[pretrain]` also take the arguments of their recipe.\n"]
    text += ["## Recipes of rows\n\nDefaults are those of ViT-B.\n"]
    text += [recipe_section(name, recipe, defs, "") for name, recipe in OWN.sources.items()]
    text += ["## Evaluations of columns\n\nDefaults are those of ViT-B.\n"]
    text += [recipe_section(name, recipe, defs, metrics(recipe)) for name, recipe in OWN.evaluations.items()]
    return "\n".join(text)


def sites_page(page: str) -> str:
    """The generated half of the page on site files."""
    schema, given = site_schema(), page_example(page)
    defs, slurm = schema["$defs"], given["slurm"]
    own = [
        ("The file", Site, schema, [given]),
        ("`[assets]`", Assets, defs["Assets"], [given["assets"]]),
        ("`[slurm]`", Slurm, defs["Slurm"], [slurm, *given["alternatives"]]),
        ("`[slurm.stages.KIND]`", Resources, defs["Resources"], list(slurm["stages"].values())),
    ]
    text = [f"### {title}\n\n{fields(cls, one, defs, some)}" for title, cls, one, some in own]
    kinds = defs["Slurm"]["properties"]["stages"]["propertyNames"]["enum"]
    text += [f"Kinds of jobs: {', '.join(f'`{kind}`' for kind in kinds)}.\n"]
    names = [[f"`{known.name}`", known.layout, known.source] for known in DATASETS if known.published is not None]
    part = (
        "A path is the whole set. A part of it is a table, and a data set of its own (ADR 30):\n"
        '`imagenet1k = { root = "/data/imagenet100", subset = true }`. A folder of yours has a format (ADR 41):\n'
        "suites and `eval --on knn:NAME` use its name.\n"
    )
    folder = defs["DataFolder"]["anyOf"][1]
    tables = [one for one in given["data"].values() if isinstance(one, dict)]
    named = table(["data set", "what it names", "where it comes from"], names)
    formats = table(["format", "what `root` is"], [[f"`{name}`", what] for name, what in WHAT.items()])
    return "\n".join([*text, "### `[data]`\n", part, named, fields(DataFolder, folder, defs, tables), formats])


PAGES = {"suites.md": suites_page, "sites.md": sites_page}


def whole(name: str, text: str) -> str:
    """A page with today's tables."""
    return text[: text.index(BEGIN) + len(BEGIN)] + "\n" + PAGES[name](text)
