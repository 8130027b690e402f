"""A suite file checked from its text to its jobs at every scale: all mistakes at once, or a summary."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from caebench.datasets.registry import PUBLISHED
from caebench.planning.graph import Plan, cell_jobs, encoder_jobs, make_plan
from caebench.planning.scale import SCALES
from caebench.specs.base import Config
from caebench.specs.inputs.dataset import unnamed
from caebench.specs.inputs.few_shot import MARK
from caebench.specs.own_data import NAME
from caebench.specs.scale import Scale
from caebench.suites.checking import (
    column_mistakes,
    elsewhere,
    raised,
    row_mistakes,
    stand_in_mistakes,
    unpublished,
    with_known_arguments,
)
from caebench.suites.drafting import read_draft
from caebench.suites.loading import missing_elsewhere
from caebench.suites.recipes import SuiteError
from caebench.suites.suite import Column, Row, Suite

SEEDS = (0,)


class Checked(NamedTuple):
    """What is wrong with a suite file; or, if nothing is, its plan at paper scale."""

    path: Path
    mistakes: tuple[str, ...]  # one line each, with file, row or column, field, value and what is allowed
    plan: Plan | None


def check_file(path: Path, own: Mapping[str, Config] = {}) -> Checked:
    """Check a suite file; `own` has the users' own data sets of a site."""
    draft = read_draft(path)
    found = list(draft.mistakes)
    if draft.suite is not None:
        found += [str(mistake) for mistake in _mistakes(draft.suite, draft.unsound, own)]
    if found or draft.suite is None:
        return Checked(path, tuple(dict.fromkeys(found)), None)
    return Checked(path, (), make_plan(draft.suite, replace(SCALES["paper"], found=own), SEEDS))


def _mistakes(suite: Suite, unsound: frozenset[str], own: Mapping[str, Config]) -> Iterator[SuiteError]:
    """Of recipes, evaluations and jobs; what could not be read is passed over."""
    rows: list[Row] = []
    for row in (with_known_arguments(row) for row in suite.rows if not row.quoted and row.key not in unsound):
        found = row_mistakes(suite, row)
        yield from found
        rows += [] if found else [row]
    yield from unpublished(suite)
    columns: list[Column] = []
    for column in suite.columns.values():
        found = [mistake for row in rows for mistake in column_mistakes(suite, row, column)]
        found = [*_unknown_data(suite, column, own), *(found if rows else stand_in_mistakes(suite, column))]
        yield from found
        columns += [] if found else [column]
    for row in rows:
        yield from _of_jobs(suite, row, columns, own)
    for claim, cell in elsewhere(suite):
        yield from missing_elsewhere(cell, claim)


def _unknown_data(suite: Suite, column: Column, own: Mapping[str, Config]) -> Iterator[SuiteError]:
    """A data set that is neither published nor a site's; a name that none can have is a mistake of another kind."""
    named = column.data.partition(MARK)[0] if column.data is not None else ""
    if NAME.fullmatch(named) and named not in PUBLISHED and named not in own:
        yield SuiteError(suite.where_of(column), f"field 'data' is '{column.data}': {unnamed(named, own)}")


def _of_jobs(suite: Suite, row: Row, columns: list[Column], own: Mapping[str, Config]) -> Iterator[SuiteError]:
    """Jobs of a row that cannot run, at paper scale, or else at a smaller one."""
    for scale in reversed(list(SCALES.values())):
        found = list(_at(suite, row, columns, replace(scale, found=own)))
        yield from found
        if found:
            return


def _at(suite: Suite, row: Row, columns: list[Column], scale: Scale) -> Iterator[SuiteError]:
    try:
        encoders = encoder_jobs(suite, row, scale, SEEDS)
    except SuiteError as mistake:
        yield _told(mistake, scale)
        return
    for column in columns:
        for mistake in raised(lambda column=column: cell_jobs(suite, row, column, scale, encoders)):
            yield _told(mistake, scale)


def _told(mistake: SuiteError, scale: Scale) -> SuiteError:
    """A mistake, with the scale if it is not the file's own numbers that it tells."""
    return mistake if scale.name == "paper" else SuiteError(mistake.where, f"at {scale.name} scale: {mistake.what}")
