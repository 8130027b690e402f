"""Claims on numbers: values by hand, then what the intervals promise by simulation."""

import random

import pytest

from caebench.report.claims import describe, judge
from caebench.report.statistics import Estimate, estimate, published_estimate
from caebench.suites.claims import CellName, Claim

MORE = {0: 64.0, 1: 65.0, 2: 66.0}
THAN = {0: 63.0, 1: 64.0, 2: 63.0}  # differences 1, 1, 3: mean 1.667, deviation 1.155, half interval 2.868


def claim(*parts):
    return Claim(
        statement="A beats B", section="Sec. 5.3", parts=parts or ({"higher": "A/linear", "lower": "B/linear"},)
    )


def judged(question, **cells):
    """A claim on cells `A/linear`, ...: each a mapping by seed, an estimate, or None."""
    known = {name: estimate(value, {}) if isinstance(value, dict) else value for name, value in cells.items()}
    return judge(question, lambda cell: known.get(cell.row if cell.column == "linear" else cell.column))


def part(**question):
    return claim({"higher": "A/linear", "lower": "B/linear", **question})


def with_error(mean, error):
    """A number whose noise is that of many runs."""
    return Estimate({0: mean}, mean, error, "published")


def of_one_seed(mean, error):
    return Estimate({0: mean}, mean, error, "evaluation")


def test_common_seeds_are_paired():
    (result,) = judged(claim(), A=MORE, B=THAN).parts
    assert (result.status, result.num_seeds, result.paired) == ("undecided", 3, True)
    assert result.difference == pytest.approx(5 / 3)
    assert (result.low, result.high) == (pytest.approx(-1.2018, abs=1e-3), pytest.approx(4.5351, abs=1e-3))
    assert result.seeds_to_decide == 5, "4 seeds: 3.182 x 1.155 / 2 = 1.84; 5: 2.776 x 1.155 / 2.236 = 1.43"


@pytest.mark.parametrize(
    ("question", "status", "seeds"),
    [
        ({"margin": -2.0}, "held", None),
        ({"margin": 5.0}, "contradicted", None),
        ({"tolerance": 5.0}, "held", None),
        ({"tolerance": 0.5}, "undecided", 7),  # 1.167 away: 6 seeds: 2.571 x 0.471 = 1.21; 7: 2.447 x 0.436 = 1.07
        ({"tolerance": 4.5}, "undecided", 4),  # 2.833 away: 3 seeds: 2.87; 4: 1.84
    ],
)
def test_an_interval_against_a_threshold(question, status, seeds):
    (result,) = judged(part(**question), A=MORE, B=THAN).parts
    assert (result.status, result.seeds_to_decide) == (status, seeds)


def test_a_difference_outside_on_either_side_contradicts_within():
    above, below = {0: 9.0, 1: 9.0, 2: 9.0}, {0: 5.0, 1: 5.0, 2: 5.0}
    assert judged(part(tolerance=3.0), A=above, B=below).status == "contradicted"
    assert judged(part(tolerance=3.0), A=below, B=above).status == "contradicted"


def test_only_seeds_of_all_cells_are_paired():
    (result,) = judged(claim(), A={0: 99.0, 1: 5.0, 2: 6.0, 3: 7.0}, B={1: 4.0, 2: 4.0, 3: 5.0, 4: -99.0}).parts
    assert (result.difference, result.num_seeds, result.paired) == (pytest.approx(5 / 3), 3, True)
    assert result.high - result.difference == pytest.approx(4.3027 / 3, abs=1e-3), "deviation 0.577 over root 3"


@pytest.mark.parametrize("others", [{}, {3: 9.0}])
def test_two_common_seeds_are_not_paired(others):
    """One degree of freedom is an interval of 12.7 standard errors: the cells' own errors say more."""
    (result,) = judged(claim(), A=Estimate({0: 5.0, 1: 6.0}, 5.5, 0.5, "pooled", 9), B=of_one_seed(1.0, 0.0)).parts
    assert (result.num_seeds, result.paired) == (1, False)
    cells = [Estimate({0: mean, 1: mean}, mean, 0.5, "pooled", 9) for mean in (5.5, 3.0)]
    (result,) = judged(claim(), A=cells[0], B=cells[1]).parts
    assert (result.status, result.noise, result.num_seeds) == ("held", "pooled seeds", 2)
    assert result.high == pytest.approx(2.5 + 2.2622 * 0.5**0.5, abs=1e-3), "one deviation: nine degrees, not eighteen"


def test_one_seed_only_suggests():
    """How seeds scatter is not in the evaluation set's error."""
    cells = {"A": of_one_seed(71.0, 0.3), "B": of_one_seed(70.0, 0.4)}
    (result,) = judged(claim(), **cells).parts
    assert (result.status, result.num_seeds, result.noise) == ("suggested", 1, "evaluation set alone")
    assert (result.low, result.high) == (pytest.approx(0.02, abs=1e-3), pytest.approx(1.98, abs=1e-3))
    assert judged(claim(), A=cells["B"], B=cells["A"]).status == "suggested against"
    assert judged(claim(), A=of_one_seed(70.9, 0.3), B=cells["B"]).status == "undecided"
    assert describe(judged(claim(), **cells)).endswith("+1.00 [+0.02, +1.98], 1 seed, evaluation set alone")


def test_one_seed_compared_with_three_only_suggests():
    assert judged(claim(), A=MORE, B=of_one_seed(10.0, 0.4)).status == "suggested"


@pytest.mark.parametrize(
    ("statuses", "status"),
    [
        (["held", "suggested"], "suggested"),
        (["suggested", "undecided"], "undecided"),
        (["undecided", "suggested against"], "suggested against"),
        (["suggested against", "untestable"], "untestable"),
        (["untestable", "contradicted"], "contradicted"),
    ],
)
def test_a_claim_is_as_sure_as_its_least_sure_part(statuses, status):
    """Each part's own cells, so that it has the status that it is called."""
    many, one = (0.1, "published"), (0.1, "evaluation")
    known = {
        "held": (9.0, *many),
        "suggested": (9.0, *one),
        "undecided": (0.0, *many),
        "suggested against": (-9.0, *one),
        "contradicted": (-9.0, *many),
    }
    cells = {name: Estimate({0: mean}, mean, error, source) for name, (mean, error, source) in known.items()}
    parts = [{"higher": f"{name}/linear", "lower": "zero/linear"} for name in statuses]
    assert judged(claim(*parts), **cells, zero=with_error(0.0, 0.0)).status == status


def test_published_numbers_are_judged_alike():
    (result,) = judged(claim(), A=published_estimate(71.0, 0.3), B=published_estimate(70.0, 0.4)).parts
    assert (result.status, result.num_seeds, result.seeds_to_decide) == ("held", 0, None)


def test_ours_against_a_published_number_uses_all_our_seeds():
    ours = estimate({0: 70.0, 1: 71.0, 2: 72.0}, {})
    (result,) = judged(claim(), A=ours, B=published_estimate(70.0, 0.0)).parts
    assert (result.difference, result.paired) == (1.0, False)
    assert result.high == pytest.approx(1 + 4.3027 * 0.57735, abs=1e-3), "three seeds: two degrees of freedom"


def test_degrees_of_freedom_after_welch():
    ours, other = estimate({0: 70.0, 1: 71.0, 2: 72.0}, {}), of_one_seed(70.0, 3**-0.5)
    (result,) = judged(claim(), A=ours, B=other).parts
    assert result.high == pytest.approx(1 + 2.306 * 0.8165, abs=1e-3), "(1/3 + 1/3)^2 / ((1/3)^2 / 2) = 8 degrees"


def test_unknown_noise_decides_nothing():
    judgement = judged(claim(), A=of_one_seed(90.0, None), B=with_error(10.0, 0.1))
    (result,) = judgement.parts
    assert (judgement.status, result.difference, result.low, result.high) == ("undecided", 80.0, None, None)
    assert describe(judgement).endswith("+80.00, noise unknown")


def test_sums_on_both_sides():
    names = {"C": (77.1, 0.2), "D": (70.4, 0.2), "E": (77.0, 0.2), "F": (76.2, 0.2)}
    cells = {name: with_error(*value) for name, value in names.items()}
    gain = {"higher": ["C/linear", "F/linear"], "lower": ["D/linear", "E/linear"]}
    (result,) = judged(claim(gain), **cells).parts
    assert result.difference == pytest.approx(5.9)
    assert result.high - result.low == pytest.approx(2 * 1.96 * 0.4, abs=1e-3)


def test_a_cell_named_twice_counts_twice_and_not_as_two():
    doubled = {"higher": ["A/linear", "A/linear"], "lower": ["B/linear", "C/linear"]}
    cells = {"A": with_error(3.0, 1.0), "B": with_error(1.0, 0.0), "C": with_error(2.0, 0.0)}
    (result,) = judged(claim(doubled), **cells).parts
    assert (result.difference, result.high) == (3.0, pytest.approx(3 + 2 * 1.96, abs=1e-3))


@pytest.mark.parametrize(
    ("thresholds", "status"),
    [
        ([-2.0, -3.0], "held"),
        ([-2.0, 0.0], "undecided"),
        ([-2.0, 5.0], "undecided"),  # one part alone would be contradicted, up to 4.54: of two, up to 5.80
        ([-2.0, 6.0], "contradicted"),
        ([0.0, 6.0], "contradicted"),
        ([-2.0, None], "untestable"),
        ([0.0, None], "untestable"),
        ([6.0, None], "contradicted"),
    ],
)
def test_a_claim_is_the_sum_of_its_parts(thresholds, status):
    parts = [
        {"higher": "A/linear", "lower": "B/linear" if by is not None else "gone/linear", "margin": by or 0.0}
        for by in thresholds
    ]
    assert judged(claim(*parts), A=MORE, B=THAN).status == status


def test_cells_without_numbers_are_named():
    judgement = judged(part(lower=["gone/linear", "B/linear"]), A=MORE, B=THAN)
    assert judgement.parts[0].missing == ("gone/linear",)
    assert describe(judgement) == (
        "A beats B (Sec. 5.3): untestable. A/linear over gone/linear + B/linear: no number for gone/linear"
    )


def test_cells_of_another_suite_are_asked_for_by_it():
    asked = []
    question = claim({"higher": "detection-coco:T3-B-CAE*-1600/box", "lower": "T7-50%/linear"})
    judge(question, lambda cell: asked.append(cell))
    assert asked == [CellName("detection-coco", "T3-B-CAE*-1600", "box"), CellName(None, "T7-50%", "linear")]


def test_a_judgement_in_a_line():
    assert describe(judged(claim(), A=MORE, B=THAN)) == (
        "A beats B (Sec. 5.3): undecided. "
        "A/linear over B/linear: +1.67 [-1.20, +4.54], 3 paired seeds, 5 would decide it"
    )
    both = claim(*part(margin=-2.0).parts, *part(tolerance=5.0).parts)
    assert describe(judged(both, A=MORE, B=THAN)).endswith(
        "A/linear over B/linear by -2: +1.67 [-1.20, +4.54], 3 paired seeds; "
        "A/linear within 5 of B/linear: +1.67 [-1.20, +4.54], 3 paired seeds"
    )


def draw(rng, num_seeds, difference=0.0):
    """Two cells that share what a seed does to both."""
    shared = [rng.gauss(60.0, 3.0) for _ in range(num_seeds)]
    more = {seed: value + difference + rng.gauss(0.0, 0.7) for seed, value in enumerate(shared)}
    return more, {seed: value + rng.gauss(0.0, 0.7) for seed, value in enumerate(shared)}


@pytest.mark.parametrize("num_seeds", [3, 5])
def test_the_paired_interval_covers_the_true_difference(num_seeds):
    rng = random.Random(num_seeds)
    results = [judged(claim(), A=more, B=than).parts[0] for more, than in (draw(rng, num_seeds) for _ in range(3000))]
    covered = sum(result.low <= 0 <= result.high for result in results) / len(results)
    assert covered == pytest.approx(0.95, abs=0.013), "3.3 deviations of 3000 draws"


def test_a_large_difference_is_found_under_what_seeds_share():
    rng = random.Random(0)
    found = [judged(claim(), A=more, B=than).status for more, than in (draw(rng, 5, 6.0) for _ in range(200))]
    assert set(found) == {"held"}, "unpaired, 3.0 a seed would hide it"


def test_the_seeds_that_decide_are_the_fewest():
    """Seeds that alternate around the mean keep mean and deviation however many they are."""
    rng = random.Random(1)
    for _ in range(50):
        mean, spread = rng.uniform(0.05, 0.5), rng.uniform(0.5, 1.5)
        four = {seed: mean + spread * (-1) ** seed for seed in range(4)}
        needed = judged(claim(), A=four, B=dict.fromkeys(four, 0.0)).parts[0].seeds_to_decide
        assert needed is not None and needed > 4
        # The sample deviation of n alternating values is spread x sqrt(n / (n - 1)); of four, spread x sqrt(4 / 3).
        for num_seeds in (needed - needed % 2, needed + 2 - needed % 2):
            factor = (4 / 3 * (num_seeds - 1) / num_seeds) ** 0.5
            values = {seed: mean + spread * factor * (-1) ** seed for seed in range(num_seeds)}
            status = judged(claim(), A=values, B=dict.fromkeys(values, 0.0)).status
            assert status == ("held" if num_seeds >= needed else "undecided")


def test_a_difference_that_no_number_of_seeds_would_settle():
    tiny = {0: 1.0, 1: -0.9998, 2: 1.0, 3: -0.9998}
    (result,) = judged(claim(), A=tiny, B=dict.fromkeys(tiny, 0.0)).parts
    assert (result.status, result.seeds_to_decide) == ("undecided", None)
    same = dict.fromkeys(range(3), 1.0)
    (equal,) = judged(claim(), A=same, B=same).parts
    assert (equal.status, equal.seeds_to_decide) == ("undecided", None)
