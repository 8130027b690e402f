"""What a suite file may not say of few-shot data."""

import re

import pytest

from caebench.planning.checking import check_file

SUITE = """
source = {{ title = "t" }}
columns.a = {{ header = "a", {column}eval = "{eval}" }}
rows = [{{ label = "R", {row}recipe = "{recipe}" }}]
"""
FEW = 'data = "imagenet1k@10shot"'
WRONG = {
    'data = "imagenet1k@10"': r"field 'data' is 'imagenet1k@10': data set 'imagenet1k@10': '@10' is no few-shot suffix",
    'data = "imagenet1@10shot"': r"data set 'imagenet1': unknown\. Did you mean 'imagenet1k'\?",
    f'{FEW}, published = "LIN"': r"field 'published' is 'LIN': published numbers are not of draws of imagenet1k@10shot",
    "draws = 3": r"field 'draws' is 3: only few-shot data are drawn\. Remove it, or write `data`",
    f"{FEW}, draws = 0": r"field 'columns\.a\.draws' is 0: input should be greater than 0",
    f"{FEW}, set.data.few.draw = 3": r"field 'set\.data\.few': few-shot data are no single field\. Remove it",
    "set.data.few = { shots = 3 }": r"field 'set\.data\.few': few-shot data are no single field\. Remove it",
    'data = "imagenet1k@100000shot"': r"1,000 classes need 100,000,000 training images, and the whole set",
    'data = "ade20k@10%"': r"field 'data\.name' is 'ade20k': its labels are of another kind",
}


def after(fields):
    return f"{fields}, " if fields else ""


def mistakes(path, column, evaluation="linear_probe", recipe="random", row=""):
    file = path / "mine.toml"
    file.write_text(SUITE.format(column=after(column), eval=evaluation, recipe=recipe, row=after(row)), encoding="utf8")
    return check_file(file).mistakes


@pytest.mark.parametrize("column", list(WRONG))
def test_each_mistake_is_one_line(tmp_path, column):
    (found,) = mistakes(tmp_path, column)
    assert "\n" not in found
    assert re.search(WRONG[column], found), found


def test_a_dense_task_takes_no_few_shot_data(tmp_path):
    found = mistakes(tmp_path, "set.data.few = { shots = 3 }", "ade20k")
    assert any("few-shot data are no single field" in line for line in found)


def test_a_pretraining_takes_no_few_shot_data(tmp_path):
    found, *_ = mistakes(tmp_path, "", recipe="mae", row="set.data.few = { shots = 3 }")
    assert "field 'set.data.few': few-shot data are no single field" in found


def test_a_column_on_few_shot_data_is_right(tmp_path):
    assert mistakes(tmp_path, f"{FEW}, draws = 3") == ()
