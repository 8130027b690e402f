"""Standard errors, verdicts, best and second, and Student's t, against values worked out by hand."""

import math

import pytest

from caebench.report.statistics import (
    Estimate,
    combine,
    estimate,
    pool,
    published_estimate,
    ranks,
    rounding_of,
    standard_error,
    student_t,
    verdict,
)

# The printed table of the two-sided 95 % points, 1 to 30 degrees of freedom.
TABLE = """
12.706 4.303 3.182 2.776 2.571 2.447 2.365 2.306 2.262 2.228 2.201 2.179 2.160 2.145 2.131
2.120 2.110 2.101 2.093 2.086 2.080 2.074 2.069 2.064 2.060 2.056 2.052 2.048 2.045 2.042
"""


def cell(mean, error):
    return Estimate({0: mean}, mean, error, "evaluation")


@pytest.mark.parametrize(("degrees", "printed"), list(enumerate(map(float, TABLE.split()), 1)))
def test_student_t_is_the_printed_one(degrees, printed):
    assert student_t(degrees) == pytest.approx(printed, abs=1e-3)


@pytest.mark.parametrize(("degrees", "printed"), [(40, 2.021), (60, 2.000), (120, 1.980), (9999, 1.960)])
def test_student_t_beyond_the_table(degrees, printed):
    assert student_t(degrees) == pytest.approx(printed, abs=1e-3)


def test_student_t_in_closed_form():
    assert student_t(1) == pytest.approx(math.tan(0.475 * math.pi), rel=1e-12)
    assert student_t(2) == pytest.approx(0.95 * math.sqrt(2 / (1 - 0.95**2)), rel=1e-12)


def test_student_t_falls_towards_the_normal():
    values = [student_t(degrees) for degrees in range(1, 200)]
    assert values == sorted(values, reverse=True)
    assert values[-1] > student_t(math.inf) == pytest.approx(1.959964, abs=1e-6)


def test_student_t_needs_two_seeds():
    with pytest.raises(ValueError, match="two seeds"):
        student_t(0)


def test_three_seeds_say_how_much_they_scatter():
    found = estimate({0: 10.0, 1: 11.0, 2: 12.0}, {0: (0.0, 99.0)})
    assert (found.mean, found.source) == (11.0, "seeds")
    assert found.standard_error == pytest.approx(1 / math.sqrt(3))


def test_below_three_seeds_the_evaluation_sets_error_is_averaged():
    found = estimate({0: 10.0, 1: 14.0}, {0: (8.04, 11.96), 1: (10.08, 17.92)})
    assert (found.mean, found.source) == (12.0, "evaluation")
    assert found.standard_error == pytest.approx(1.5, rel=1e-4), "half widths 1.96 and 3.92"


def test_an_interval_that_a_seed_lacks_is_not_counted():
    assert estimate({0: 10.0, 1: 14.0}, {0: (8.04, 11.96), 1: None}).standard_error == pytest.approx(1.0, rel=1e-4)


def test_no_interval_is_no_error_and_no_value_no_estimate():
    assert estimate({0: 10.0}, {}) == Estimate({0: 10.0}, 10.0, None, "evaluation")
    assert estimate({}, {0: (1.0, 2.0)}) is None


def test_a_published_number_has_no_seeds():
    assert published_estimate(64.1, 0.2) == Estimate({}, 64.1, 0.2, "published")


@pytest.mark.parametrize(
    ("ours", "error", "said"),
    [
        (64.15, 0.0, "reproduced"),
        (64.05, None, "reproduced"),
        (62.8, 0.5, "within noise, by the evaluation set alone"),
        (65.4, 0.5, "within noise, by the evaluation set alone"),
        (62.6, 0.5, "low, by the evaluation set alone"),
        (65.6, 0.5, "high, by the evaluation set alone"),
        (63.9, None, "low, noise unknown"),
        (64.3, None, "high, noise unknown"),
    ],
)
def test_verdicts(ours, error, said):
    assert verdict(cell(ours, error), 64.1).text() == said


def test_a_verdict_says_gap_and_noise():
    found = verdict(cell(62.1, 0.5), 64.1)
    assert (found.word, found.gap) == ("low", pytest.approx(-2.0))
    assert found.noise == pytest.approx(1.959964 * 0.5 * math.sqrt(2)), "one run of ours against one of theirs"


def test_a_verdict_predicts_one_more_run():
    """t sd sqrt(1 + 1 / n), with t of two degrees of freedom."""
    found = verdict(estimate({0: 63.0, 1: 64.0, 2: 65.0}, {}), 60.0, rounding=0.0)
    assert (found.word, found.noise) == ("within noise", pytest.approx(4.302653 * math.sqrt(4 / 3)))


def test_a_published_number_is_as_exact_as_it_is_printed():
    assert [rounding_of(text) for text in ("64.1", "69.32", "82")] == pytest.approx([0.05, 0.005, 0.5])
    assert verdict(cell(69.36, 0.0), 69.32, rounding_of("69.32")).word == "high"


@pytest.mark.parametrize(
    ("cells", "marks"),
    [
        ([(70, 0.1), (72, 0.1), (71, 0.1)], ["", "best", "second"]),
        ([(70, 0.3), (70.5, 0.4), (60, 0.1)], ["best", "best", "second"]),  # noise of the difference: 0.98
        ([(70, 0.3), (71.3, 0.4), (60, 0.1)], ["second", "best", ""]),  # three pairs: 1.20
        ([(72, 0.1), (70, 0.3), (69.5, 0.4), (60, 0.1)], ["best", "", "", ""]),  # two rows would be second
        ([(70, 0.3), (70.5, 0.4)], ["", ""]),  # all tie
        ([(70, None), (70, None), (71, None)], ["", "", "best"]),
        ([(70, 5.0), (71, None)], ["second", "best"]),
        ([None, (70, 0.1), None], ["", "", ""]),
        ([None, (70, 0.1), (72, 0.1)], ["", "second", "best"]),
        ([None, None], ["", ""]),
        ([], []),
    ],
)
def test_best_and_second_with_what_is_tied_with_them(cells, marks):
    assert ranks([None if one is None else cell(*one) for one in cells]) == marks


def test_the_standard_error_of_the_mean():
    assert standard_error([1.0, 1.0, 3.0]) == pytest.approx(2 / 3)


def test_two_seeds_take_the_deviation_of_the_column():
    column = [estimate({0: 10.0, 1: 12.0}, {}), None, estimate({0: 1.0, 1: 2.0, 2: 3.0}, {}), estimate({0: 5.0}, {})]
    two, nothing, three, one = pool(column)
    assert (two.source, two.degrees, two.deviation) == ("pooled", 3, pytest.approx(math.sqrt((2.0 + 2.0) / 3)))
    assert two.standard_error == pytest.approx(two.deviation / math.sqrt(2))
    assert (nothing, three, one) == (None, column[2], column[3])


def test_two_seeds_alone_say_as_much_as_one():
    column = [estimate({0: 10.0, 1: 12.0}, {0: (9.0, 11.0), 1: (11.0, 13.0)}), estimate({0: 5.0}, {})]
    assert pool(column) == column
    assert column[0].source == "evaluation"


def test_degrees_of_freedom_are_welchs_and_a_pooled_deviation_counts_once():
    three = Estimate({0: 1.0, 1: 2.0, 2: 3.0}, 2.0, 0.5, "seeds", 2)
    exact = Estimate({}, 1.0, 0.0, "evaluation")
    assert combine([(1, three), (-1, three)]) == pytest.approx((math.sqrt(0.5), 4.0))
    assert combine([(1, three), (-1, exact)]) == pytest.approx((0.5, 2.0))
    pooled = Estimate({0: 1.0, 1: 2.0}, 1.5, 0.5, "pooled", 6)
    assert combine([(1, pooled), (-1, pooled)]) == pytest.approx((math.sqrt(0.5), 6.0))
    assert combine([(1, three), (-1, cell(1.0, None))]) is None
