"""A suite of some encoders and evaluations that a user names: what `caebench eval` runs, and `--save` writes."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from caebench.datasets.registry import PUBLISHED
from caebench.files.toml import inline, key
from caebench.files.visible import visible
from caebench.specs.did_you_mean import suggest
from caebench.specs.inputs.dataset import RealData, unnamed
from caebench.specs.inputs.few_shot import parse
from caebench.specs.registry import EVALUATIONS, SOURCES
from caebench.suites.checking import check
from caebench.suites.loading import every, load
from caebench.suites.recipes import SuiteError, build, parameters
from caebench.suites.suite import Column, Row, Suite

Table = dict[str, Any]
SHORT: Mapping[str, str] = {
    "linear": "linear_probe",
    "attentive": "attentive_probe",
    "linear_ade20k": "linear_segmentation",
    "knn_ade20k": "knn_segmentation",
}
PROBES = ("linear", "attentive", "knn", "linear_ade20k")  # of a frozen encoder: what `eval` runs if nothing is named


def evaluation_suite(rows: Sequence[Table], columns: Table, path: Path) -> Suite:
    """Encoders times evaluations; `path` is where the suite is, or would be written.

    Raises:
        ValueError: two rows have one name.
    """
    names = ", ".join(row["label"] for row in rows if not row.get("quoted"))
    source = {"title": f"Evaluation of {names}"}
    suite = Suite.model_validate({"source": source, "columns": columns, "rows": rows, "path": path})
    check(suite)
    return suite


def suite_row(name: str) -> Table:
    """A row of a suite, SUITE/ROW, as one that stands alone: with what the suite says of all its rows.

    Raises:
        ValueError: there is no such suite or row, or the row is quoted.
    """
    suite_name, _, key = name.partition("/")
    suite = load(suite_name)
    if key not in suite.numbers:
        raise ValueError(f"'{name}': {suite.path} has no such row.{suggest(key, suite.numbers)}")
    row = suite.rows[suite.numbers[key] - 1]
    if row.quoted:
        raise ValueError(f"'{name}': the row is quoted from the paper. It has no encoder.")
    return _alone(suite, row)


def _alone(suite: Suite, row: Row) -> Table:
    recipe = row.recipe or suite.pretrain.recipe
    assert recipe is not None, "a row without a recipe was refused"
    shared = {name: value for name, value in suite.pretrain.arguments().items() if name in parameters(SOURCES[recipe])}
    own = suite.pretrain.set if row.recipe in (None, suite.pretrain.recipe) else {}
    fields: Table = {"label": row.label, "recipe": recipe, **shared, **row.arguments()}
    changes = _merged(own, row.set)
    return {**fields, **({"id": row.id} if row.id else {}), **({"set": changes} if changes else {})}


def _merged(first: Table, second: Table) -> Table:
    """Nested tables, the second over the first."""
    both = {name: _merged(first[name], value) for name, value in second.items() if _are_tables(first.get(name), value)}
    return {**first, **second, **both}


def _are_tables(first: object, second: object) -> bool:
    return isinstance(first, dict) and isinstance(second, dict) and "kind" not in second


def columns_named(on: Sequence[str], like: str | None, own: Collection[str] = ()) -> Table:
    """The columns of a table.

    Args:
        on: names of evaluations, `NAME` or `NAME:DATA`; with `like`, of that suite's columns. None: the frozen probes.
        like: a suite whose columns are taken with their settings.
        own: the names of the users' own data sets of the site.

    Raises:
        ValueError: an evaluation, a data set or the suite is unknown.
    """
    if like is None:
        return {name.replace(":", "_"): _column(name, own) for name in on or PROBES}
    columns = load(like).columns
    for name in on:
        if name not in columns:
            known = ", ".join(columns)
            raise ValueError(f"--on '{name}': no column of suite '{like}'.{suggest(name, columns)} Columns: {known}.")
    return {name: column for name, column in columns.items() if not on or name in on}


def _column(name: str, own: Collection[str]) -> Table:
    """An evaluation by its short name or its recipe's, on a data set of its own or on another."""
    evaluation, _, data = name.partition(":")
    recipe_name = SHORT.get(evaluation, evaluation)
    if recipe_name not in EVALUATIONS:
        names = dict.fromkeys([*SHORT, *EVALUATIONS])
        raise ValueError(f"--on '{name}': unknown.{suggest(evaluation, names)} Known: {', '.join(names)}.")
    if "pretraining" in parameters(recipe := EVALUATIONS[recipe_name]):
        raise ValueError(f"--on '{name}': it is of a pretraining, not of its encoder. Write a suite with such a row.")
    usual = _usual(recipe_name) or Column(
        header=evaluation, eval=recipe_name, metric=recipe(variant="vit_b").METRICS[0]
    )
    if not data:
        return usual.model_dump(exclude={"note"}, exclude_defaults=True)
    if "data" not in parameters(recipe):
        takes = ", ".join(known for known, other in EVALUATIONS.items() if "data" in parameters(other))
        raise ValueError(f"--on '{name}': {evaluation} has one data set. Those that take another: {takes}.")
    config = build(recipe, {"variant": "vit_b", "data": data}, f"--on '{name}'")
    if (bare := parse(data).name) not in PUBLISHED and bare not in own:
        raise SuiteError(f"--on '{name}'", str(unnamed(bare, own)))
    if isinstance(getattr(config, "data", None), RealData):  # of a user's own the site knows the labels
        try:
            config.check_labels()
        except ValueError as error:
            raise ValueError(f"--on '{name}': {error}") from error
    return {"header": f"{usual.header} {data}", "eval": recipe_name, "metric": usual.metric, "data": data}


def _usual(evaluation: str) -> Column | None:
    """The first column of a suite that shows an evaluation as its recipe makes it: for its header and metric."""
    columns = (column for suite in every() for column in suite.columns.values())
    return next((one for one in columns if one.eval == evaluation and not one.set and one.data is None), None)


def quoted_row(name: str) -> Table:
    """A row that shows published numbers alone.

    Raises:
        ValueError: no row of a suite has that id.
    """
    known: dict[str, Row] = {}
    for row in (row for suite in every() for row in suite.rows):
        known.setdefault(row.id or "", row)  # of several suites the first: that of the paper's table
    if not name or name not in known:
        raise ValueError(f"--compare-with '{name}': no row of a suite has that id.{suggest(name, known)}")
    return {"id": name, "label": known[name].label, "quoted": True}


def text_of(suite: Suite, files: Mapping[str, str] | None = None) -> str:
    """A suite as the text of its file; `files` has the encoder's file by the row's label, for a comment."""
    fields = suite.model_dump(mode="json", exclude_defaults=True, exclude={"path", "columns", "rows"})
    columns = {name: column.model_dump(mode="json", exclude_defaults=True) for name, column in suite.columns.items()}
    rows = [
        line
        for row in suite.rows
        for line in (
            *_comment(row, (files or {}).get(row.label)),
            f"    {inline(row.model_dump(mode='json', exclude_defaults=True))},",
        )
    ]
    lines = [
        *(f"{name} = {inline(value)}" for name, value in fields.items()),
        *(f"columns.{key(name)} = {inline(column)}" for name, column in columns.items()),
        *("rows = [", *rows, "]"),
    ]
    return "\n".join(lines) + "\n"


def _comment(row: Row, file: str | None) -> list[str]:
    """Which file a row's encoder was read from."""
    sha256 = row.arguments().get("sha256")
    return [f"    # {visible(file, keep='')}, SHA-256 {sha256[:12]}..."] if file and sha256 else []
