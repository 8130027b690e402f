"""Numbers on few-shot data: what counts as a value, as noise and as a pair; error rates are simulated (ADR 43)."""

import math
import statistics

import numpy as np
import pytest

from caebench.report.claims import judge
from caebench.report.draws import complete, estimate_draws, notes_on_draws, num_draws
from caebench.report.statistics import estimate, pool, ranks
from caebench.suites.claims import Claim

COLUMNS = 600  # simulated: a rate of 0.05 is known to 0.009
CLAIM = Claim.model_validate(
    {"statement": "above", "section": "here", "parts": [{"higher": "A/few", "lower": "B/few"}]}
)


def interval(error):
    return (50.0 - 1.96 * error, 50.0 + 1.96 * error)


def test_with_three_seeds_the_noise_is_that_over_seeds_of_the_mean_over_draws():
    values = {seed: {draw: 10.0 * draw + seed for draw in range(5)} for seed in range(3)}
    found = estimate_draws(values, [interval(2.0)])
    assert found is not None
    assert (found.mean, found.source, found.degrees) == (21.0, "seeds", 2)
    assert found.standard_error == pytest.approx(1 / math.sqrt(3)), "the spread over draws is in no part of it"


def test_with_one_seed_the_noise_is_that_of_draws_and_evaluation_set():
    values = [48.0, 50.0, 52.0, 49.0, 51.0]
    found = estimate_draws({0: dict(enumerate(values))}, [interval(2.0)] * 5)
    assert found is not None
    assert (found.mean, found.source) == (50.0, "draws")
    assert found.deviation == pytest.approx(statistics.stdev(values)), "which the table shows"
    assert found.standard_error == pytest.approx(math.hypot(statistics.stdev(values) / math.sqrt(5), 2.0), rel=1e-3)


def test_two_draws_tell_nothing_of_other_draws():
    found = estimate_draws({0: {0: 49.0, 1: 51.0}}, [interval(2.0)])
    assert found is not None
    assert (found.mean, found.source) == (50.0, "evaluation")


def test_a_seed_without_all_draws_does_not_count():
    """Its mean would be over other draws, and draws differ."""
    assert complete({0: {0: 1.0, 1: 2.0}, 1: {0: 1.0}}) == {0: {0: 1.0, 1: 2.0}}
    found = estimate_draws({0: {0: 40.0, 1: 60.0}, 1: {1: 60.0}}, [])
    assert found is not None and found.mean == 50.0
    assert estimate_draws({}, []) is None


def test_a_table_says_what_its_spread_is_over():
    one = estimate_draws({0: {0: 1.0, 1: 2.0, 2: 3.0}}, [])
    three = estimate_draws({seed: {0: 1.0 + seed, 1: 2.0} for seed in range(3)}, [])
    assert "standard deviation over draws" in notes_on_draws([one])[0]
    assert "mean over its draws; +- is over seeds" in notes_on_draws([three])[0]
    assert notes_on_draws([estimate({0: 1.0}, {}), None]) == []
    assert (num_draws([one, three]), num_draws([None])) == (3, 0)


# ---- claims ----------------------------------------------------------------------------------------------------------


def drawn(values, error=0.1):
    """A cell from an array of seeds times draws."""
    return estimate_draws({seed: dict(enumerate(row)) for seed, row in enumerate(values)}, [interval(error)])


def judged(one, other):
    return judge(CLAIM, lambda cell: {"A": one, "B": other}[cell.row]).parts[0]


def test_a_claim_on_one_seed_is_paired_by_draw_and_only_suggested():
    draws = np.array([[40.0, 50.0, 60.0, 45.0, 55.0]])
    found = judged(drawn(draws + np.array([1.0, 1.1, 0.9, 1.05, 0.95])), drawn(draws))
    assert (found.status, found.noise, found.num_seeds) == ("suggested", "paired draws", 1)
    assert found.difference == pytest.approx(1.0)
    wide = judged(drawn(draws + 1.0, error=2.0), drawn(draws, error=2.0))
    assert wide.status == "undecided", "the evaluation set's error is in the interval"


def test_a_claim_on_three_seeds_is_paired_by_seed_over_the_common_draws():
    base = np.array([[40.0, 50.0, 60.0], [42.0, 52.0, 62.0], [41.0, 51.0, 61.0]])
    found = judged(drawn(base + 2.0), drawn(np.hstack([base, np.full((3, 1), 99.0)])))
    assert (found.status, found.noise, found.difference) == ("held", "paired seeds", pytest.approx(2.0))


def test_a_cell_on_few_shot_data_is_compared_with_one_on_whole_data():
    base = np.array([[40.0, 50.0, 60.0]] * 3) + np.arange(3)[:, None]
    found = judged(drawn(base), estimate({0: 40.0, 1: 41.1, 2: 42.1}, {}))
    assert (found.status, found.noise) == ("held", "paired seeds")
    alone = judged(drawn([[49.0, 50.0, 51.0]]), estimate({0: 40.0}, {0: interval(1.0)}))
    assert (alone.status, alone.noise) == ("suggested", "evaluation set alone")


# ---- error rates -----------------------------------------------------------------------------------------------------


def columns(num_rows, num_seeds, of_seeds, seed, num_draws=5, of_images=1.0):
    """Columns of equal rows: draws and evaluation images are shared by all rows, as in a suite."""
    rng = np.random.default_rng([num_rows, num_seeds, seed])
    for _ in range(COLUMNS):
        shared, images = rng.normal(0.0, 2.0, num_draws), rng.normal(0.0, of_images)
        rows = [
            shared + images + rng.normal(0.0, of_seeds, (num_seeds, 1)) + rng.normal(0.0, 1.0, (num_seeds, num_draws))
            for _ in range(num_rows)
        ]
        yield [drawn(50.0 + row, of_images) for row in rows]


SETTINGS = [(1, 0.0), (2, 0.0), (3, 1.0), (5, 1.0)]  # seeds, deviation over seeds: of one or two seeds it is unknown


@pytest.mark.parametrize(("num_seeds", "of_seeds"), SETTINGS)
@pytest.mark.parametrize("num_rows", [2, pytest.param(9, marks=pytest.mark.slow)])
def test_equal_rows_are_rarely_told_apart(num_rows, num_seeds, of_seeds):
    demoted = [any(ranks(pool(column))) for column in columns(num_rows, num_seeds, of_seeds, seed=0)]
    assert np.mean(demoted) <= 0.07


@pytest.mark.parametrize(("num_seeds", "of_seeds"), SETTINGS)
def test_a_true_claim_is_rarely_contradicted(num_seeds, of_seeds):
    found = [judged(*column).status for column in columns(2, num_seeds, of_seeds, seed=1)]
    assert np.mean([status in ("contradicted", "suggested against") for status in found]) <= 0.05


def test_a_row_far_below_is_seen_on_one_seed():
    seen = []
    for first, *others in columns(4, 1, 0.0, seed=2):
        below = drawn([[value - 12.0 for value in first.by_draw[0].values()]], 1.0)
        seen.append(ranks([below, *others])[0] != "best")
    assert np.mean(seen) >= 0.8
