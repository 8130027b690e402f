"""A plan says what its suite may not have meant."""

import pytest

from caebench.planning.graph import make_plan
from caebench.planning.scale import SCALES
from caebench.suites import loading as suites
from caebench.suites.recipes import SuiteError
from caebench.suites.suite import Row

SUITE = """
source = {{ title = "A suite" }}
pretrain = {{ recipe = "cae", target = "pixels" }}
columns.linear = {{ header = "LIN", eval = "linear_probe" }}
columns.knn = {{ header = "k-NN", eval = "knn" }}
rows = [
    {{ label = "first" }},
    {{ label = "quoted", quoted = true }},
    {{ label = "second", {second} }},
    {{ label = "also quoted", quoted = true }},
]
"""


def write(folder, second):
    path = folder / "mine.toml"
    path.write_text(SUITE.format(second=second), encoding="utf8")
    return path


def test_rows_that_are_the_same_jobs_are_named(tmp_path):
    path = write(tmp_path, "epochs = 300")
    said = "the same jobs at paper scale, so the same numbers. Set what differs, or remove all but one."
    plan = make_plan(suites.load(str(path)), SCALES["paper"], [0, 1])
    assert plan.notes == [f"{path}, rows 1 and 3 ('first', 'second'): {said}"]


def test_rows_that_are_the_same_jobs_only_at_a_small_scale_are_named_there(tmp_path):
    suite = suites.load(str(write(tmp_path, "set.optimization.precision = 'fp32'")))
    assert make_plan(suite, SCALES["paper"]).notes == []
    (note,) = make_plan(suite, SCALES["nano"]).notes
    assert "rows 1 and 3 ('first', 'second'): the same jobs at nano scale" in note


def test_rows_that_differ_are_not_named(tmp_path):
    suite = suites.load(str(write(tmp_path, "epochs = 1600")))
    assert make_plan(suite, SCALES["nano"]).notes == []


def test_a_setting_that_a_scale_makes_impossible_is_one_line(tmp_path):
    path = write(tmp_path, "set.image_size = 240")
    with pytest.raises(SuiteError) as caught:
        make_plan(suites.load(str(path)), SCALES["nano"])
    said = "image_size 51 is not a multiple of the patch size 8. Change image_size"
    assert str(caught.value) == f'{path}, row 3 ("second"): {said}'


def test_no_row_is_compared_with_others_since_that_takes_time_with_their_square(tmp_path, monkeypatch):
    path = write(tmp_path, "epochs = 1600")

    def refused(self: Row, other: object) -> bool:
        raise AssertionError("rows were compared")

    monkeypatch.setattr(Row, "__eq__", refused)
    assert len(make_plan(suites.load(str(path)), SCALES["nano"]).cells) == 8
