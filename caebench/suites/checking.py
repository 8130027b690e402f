"""What a suite file may not say, although each field of it is of the right type: one error per mistake."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from caebench.files.toml import brief
from caebench.specs.base import is_table
from caebench.specs.did_you_mean import suggest
from caebench.specs.registry import SOURCES
from caebench.suites.claims import CellName
from caebench.suites.few_shot import SET, few_shot_mistakes, sets_few_shot
from caebench.suites.published import names, read_set
from caebench.suites.recipes import SuiteError, build, parameters
from caebench.suites.suite import Choice, Column, Row, Suite

SEED = "field 'set.seed': seeds are no part of a suite. Remove it, and give --seeds 0,1,2 to `run` and `report`."


def check(suite: Suite) -> None:
    """Reject what no suite may say.

    Raises:
        SuiteError: the first mistake.
    """
    for mistake in mistakes(suite):
        raise mistake


def mistakes(suite: Suite, unsound: frozenset[str] = frozenset()) -> Iterator[SuiteError]:
    """Every mistake; claims on `unsound` rows and columns, which could not be read, are passed over."""
    yield from _rows_of_one_name(suite)
    yield from _fields(suite)
    yield from _published(suite)
    for claim, cell in _named(suite):
        if isinstance(cell, SuiteError):
            yield cell
        elif cell.suite in (None, suite.name) and not {cell.row, cell.column} & unsound:
            yield from suite.missing(cell, claim)


def elsewhere(suite: Suite) -> Iterator[tuple[str, CellName]]:
    """The cells of other suites that claims name, each with the claim's location."""
    for claim, cell in _named(suite):
        if not isinstance(cell, SuiteError) and cell.suite not in (None, suite.name):
            yield claim, cell


def _named(suite: Suite) -> Iterator[tuple[str, CellName | SuiteError]]:
    """The cells that claims name, or why it is no cell, each with the claim's location."""
    for number, claim in enumerate(suite.claims, 1):
        where = f'{suite.path}, claim {number} ("{claim.statement}")'
        for text in claim.cells:
            try:
                yield where, build(CellName.parse, {"text": text}, where)
            except SuiteError as mistake:
                yield where, mistake


def known_arguments() -> set[str]:
    """Every name that an argument of a recipe has."""
    return {name for recipe in SOURCES.values() for name in parameters(recipe)}


def with_known_arguments(row: Row) -> Row:
    """A row without what is no argument of any recipe."""
    unknown = row.arguments().keys() - known_arguments()
    return Row.model_validate({name: value for name, value in dict(row).items() if name not in unknown})


def row_mistakes(suite: Suite, row: Row) -> list[SuiteError]:
    """What is wrong with a row's pretraining: each argument and each field of its own that is wrong alone."""
    found = raised(lambda: suite.pretraining(row))
    if not found:
        return []
    bare = {"label": row.label, "id": row.id, "recipe": row.recipe}
    single = [{name: value} for name, value in row.arguments().items()] + [{"set": one} for one in _one_by_one(row.set)]
    without = raised(lambda: suite.pretraining(Row.model_validate(bare)))
    known = {str(mistake) for mistake in without}
    own = [
        mistake
        for one in single
        for mistake in raised(lambda one=one: suite.pretraining(Row.model_validate({**bare, **one})))
        if str(mistake) not in known
    ]
    shared = [mistake for mistake in without if str(mistake) == str(found[0])]
    return [*shared, *own] or found


def column_mistakes(suite: Suite, row: Row, column: Column) -> list[SuiteError]:
    """What is wrong with a column in a row: data set, metric, then each field of its `set` that is wrong alone."""
    found = raised(lambda: suite.evaluation(row, column))
    if not found or not (column.set or column.data):
        return found
    bare = raised(lambda: suite.evaluation(row, column.replace(set={})))
    if bare and column.data is not None:
        column = column.replace(data=None)
        bare += [
            one for one in raised(lambda: suite.evaluation(row, column.replace(set={}))) if str(one) != str(bare[0])
        ]
    known = {str(mistake) for mistake in bare}
    own = [
        mistake
        for one in _one_by_one(column.set)
        for mistake in raised(lambda one=one: suite.evaluation(row, column.replace(set=one)))
        if str(mistake) not in known
    ]
    return [*bare, *own] or found


def stand_in_mistakes(suite: Suite, column: Column) -> list[SuiteError]:
    """What is wrong with a column where no row can be read: with a random encoder in their place."""
    row = Row(label="random", recipe="random")
    return column_mistakes(suite.replace(pretrain=Choice(), rows=(row,), claims=()), row, column)


def unpublished(suite: Suite) -> Iterator[SuiteError]:
    """Columns and rows whose published numbers no set has, so that none is ever shown."""
    numbers = [number for name in names() for number in read_set(name).rows]
    rows, metrics = ({number[part]: None for number in numbers} for part in (0, 1))
    compared = [column for column in suite.columns.values() if column.published is not None]
    for column in compared:
        if column.published not in metrics:
            what = f"field 'published' is '{brief(str(column.published))}': no published set has such a number."
            hint = suggest(str(column.published), metrics)
            yield SuiteError(suite.where_of(column), f"{what}{hint} Known: {', '.join(metrics)}. Or remove it.")
    for row in suite.rows:
        if row.id is not None and row.id not in rows and (compared or row.quoted):
            what = f"field 'id' is '{brief(row.id)}': no published set has such a row.{suggest(row.id, rows)}"
            yield SuiteError(suite.where(row), f"{what} Take one of caebench/suites/published, or leave `id` out.")


def _one_by_one(fields: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The fields of a `set` one at a time; a table that replaces a whole part, with its kind, stays whole."""
    for name, value in fields.items():
        if is_table(value) and value and "kind" not in value:
            yield from ({name: inner} for inner in _one_by_one(value))
        else:
            yield {name: value}


def raised(call: Callable[[], object]) -> list[SuiteError]:
    """The mistake that a call finds, if it does."""
    try:
        call()
    except SuiteError as mistake:
        return [mistake]
    return []


def _rows_of_one_name(suite: Suite) -> Iterator[SuiteError]:
    for number, row in enumerate(suite.rows, 1):
        if (last := suite.numbers[row.key]) != number:
            both = f"rows {number} and {last} are both '{brief(row.key)}'. Give each its own id or label."
            yield SuiteError(str(suite.path), both)


def _fields(suite: Suite) -> Iterator[SuiteError]:
    """Fields that are neither a row's nor an argument of any recipe; and seeds."""
    known = known_arguments()
    given = [(f"{suite.path}, [pretrain]", suite.pretrain), *((suite.where(row), row) for row in suite.rows)]
    for column in suite.columns.values():
        if "seed" in column.set:
            yield SuiteError(suite.where_of(column), SEED)
        yield from (SuiteError(suite.where_of(column), mistake) for mistake in few_shot_mistakes(column))
    for where, choice in given:
        fields = [*type(choice).model_fields, *sorted(known)]
        if "seed" in choice.set:
            yield SuiteError(where, SEED)
        if sets_few_shot(choice.set):
            yield SuiteError(where, SET)
        for name in sorted(choice.arguments().keys() - known):
            yield SuiteError(where, f"unknown field '{name}'.{suggest(name, fields)} Fields: {', '.join(fields)}.")


def _published(suite: Suite) -> Iterator[SuiteError]:
    """What is taken from a paper that the suite does not name."""
    if suite.source is not None:
        return
    for row in suite.rows:
        if row.quoted:
            do = "Add [source] with the table's title, or remove `quoted`."
            yield SuiteError(suite.where(row), f"field 'quoted' is True: a suite without [source] quotes nothing. {do}")
    for column in suite.columns.values():
        if column.published is not None:
            shown = f"field 'published' is '{brief(column.published)}'"
            said = f"{shown}: a suite without [source] has no published numbers."
            do = "Add [source] with the table's title, or remove `published`."
            yield SuiteError(suite.where_of(column), f"{said} {do}")
