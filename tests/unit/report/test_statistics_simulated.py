"""How often verdicts, ranks and claims are wrong, and how often they see what is there: simulated, with fixed seeds."""

import numpy as np
import pytest

from caebench.report.claims import judge
from caebench.report.statistics import estimate, ranks, rounding_of, verdict
from caebench.suites.claims import Claim

SEEDS = (3, 5, 10)
COLUMNS = 1500  # simulated: a rate of 0.05 is known to 0.006


def runs(rng, mean, deviation, num_seeds):
    """An estimate of a cell, from runs that scatter about a mean."""
    values = rng.normal(mean, deviation, num_seeds)
    return estimate(dict(enumerate(values.tolist())), {})


def share_told_apart(num_seeds, rounded, deviation=0.2):
    """How often a faithful reproduction of one published run is called low or high."""
    rng, wrong = np.random.default_rng(num_seeds), 0
    for _ in range(2 * COLUMNS):
        published = rng.normal(64.0, deviation)
        shown, rounding = (round(published, 1), rounding_of("64.1")) if rounded else (published, 0.0)
        wrong += verdict(runs(rng, 64.0, deviation, num_seeds), shown, rounding).word in ("low", "high")
    return wrong / (2 * COLUMNS)


@pytest.mark.parametrize("num_seeds", SEEDS)
def test_a_faithful_reproduction_is_rarely_called_low_or_high(num_seeds):
    assert 0.03 <= share_told_apart(num_seeds, rounded=False) <= 0.07
    assert share_told_apart(num_seeds, rounded=True) <= 0.07
    assert share_told_apart(num_seeds, rounded=True, deviation=0.05) <= 0.07, "rounding adds to so small a deviation"


def share_of_columns_demoted(num_rows, num_seeds):
    """How often some row of a column of equal ones is told apart."""
    rng = np.random.default_rng([num_rows, num_seeds])
    return np.mean([any(ranks([runs(rng, 50.0, 1.0, num_seeds) for _ in range(num_rows)])) for _ in range(COLUMNS)])


@pytest.mark.parametrize("num_seeds", SEEDS)
@pytest.mark.parametrize("num_rows", [2, 4, 9, pytest.param(21, marks=pytest.mark.slow)])
def test_equal_rows_are_rarely_told_apart(num_rows, num_seeds):
    assert share_of_columns_demoted(num_rows, num_seeds) <= 0.07


def share_seen(num_seeds=3, num_rows=4, below=8.0):
    """How often a row that lies some deviations below three equal ones is not among the best."""
    rng, seen = np.random.default_rng(0), 0
    for _ in range(COLUMNS):
        column = [runs(rng, 50.0 - below * (row == 0), 1.0, num_seeds) for row in range(num_rows)]
        seen += any(marks := ranks(column)) and marks[0] != "best"
    return seen / COLUMNS


def test_a_row_far_below_is_seen():
    assert share_seen() >= 0.80


def share_contradicted(num_parts, num_seeds=3, gap=0.0):
    """How often a true claim is contradicted; with a gap of zero every part is on its threshold."""
    parts = [{"higher": f"A{number}/LIN", "lower": f"B{number}/LIN"} for number in range(num_parts)]
    claim = Claim.model_validate({"statement": "all above", "section": "here", "parts": parts})
    rng, wrong = np.random.default_rng(num_parts), 0
    for _ in range(COLUMNS):
        cells = {
            f"{row}{number}": runs(rng, gap * (row == "A"), 1.0, num_seeds)
            for number in range(num_parts)
            for row in "AB"
        }
        wrong += judge(claim, lambda cell, cells=cells: cells[cell.row]).status == "contradicted"
    return wrong / COLUMNS


@pytest.mark.parametrize("num_parts", [1, 2, 5, pytest.param(10, marks=pytest.mark.slow)])
def test_a_true_claim_is_rarely_contradicted(num_parts):
    assert share_contradicted(num_parts) <= 0.07
