"""`caebench suites check`: every mistake of a file at once, one line each."""

import json

import pytest

from caebench.planning.checking import check_file
from caebench.suites import loading as suites

WRONG = """
notes = [3]
surce = { title = "A typo" }
source = { title = "Wrong", table = "five" }
pretrain = { recipe = "cae", epochs = 300 }
columns.linear = { header = "LIN", eval = "linear_probe", metric = "top2", set = { nrm = true, image_size = "big" } }
columns.attentive = { header = "ATT", eval = "attentive_prob" }
columns.knn = { header = "k-NN" }
columns.coco = { header = "COCO", eval = "coco", metric = "AP_box" }

rows = [
    { label = "one", epoch = 3 },
    { label = "two", recipe = "cea" },
    { label = "three", epochs = "many", target = "pixel", set = { image_size = 220, method.align_wait = 1.0 } },
    { id = "four", recipe = "random" },
    { label = "five", quoted = 1 },
    { label = "six", set.optimization.global_batch = 2000000 },
    { label = "seven", recipe = "random", epochs = 3 },
    { label = "eight", recipe = "imported", family = "mea", sha256 = "00" },
]

[[claims]]
statement = "Better"
section = "Sec. 1"
parts = [{ higher = "six/linear", lower = "sixx/coco" }, { higher = "four/knn", lower = "five/linear" }]
[[claims]]
statement = "Worse"
parts = [{ higher = "six/linear", lower = "seven/linear" }]
[[claims]]
statement = "Elsewhere"
section = "Sec. 2"
parts = [{ higher = "six/coco", lower = "quickstat:a/b" }, { higher = "six", lower = "ablation-depth:a/linear" }]
"""
LINES = [
    "unknown field 'surce'. Did you mean 'source'?",
    "field 'source.table' is 'five': input should be a valid integer",
    "field 'notes.0' is 3: input should be a valid string",
    "field 'columns.knn.eval': field required",
    "row 4 (\"no label\"), field 'label': field required",
    "row 5 (\"five\"), field 'quoted' is 1: input should be a valid boolean",
    "claim 2 (\"Worse\"), field 'section': field required",
    ", row 1 (\"one\"): unknown field 'epoch'. Did you mean 'epochs'?",
    ", claim 1 (\"Better\"): unknown row 'sixx'. Did you mean 'six'?",
    ", claim 3 (\"Elsewhere\"): 'six' is not a cell",
    ", row 2 (\"two\"): unknown recipe 'cea'. Did you mean 'cae'?",
    ", row 3 (\"three\"): field 'epochs' is 'many': input should be a valid integer",
    ", row 3 (\"three\"): field 'target' is 'pixel'",
    ', row 3 ("three"): image_size 220 is not a multiple of the patch size 16',
    ", row 3 (\"three\"): unknown field 'set.method.align_wait'. Did you mean 'align_weight'?",
    ", row 7 (\"seven\"): recipe 'random' takes no 'epochs'",
    ', row 8 ("eight"): ',
    ", [columns], header \"LIN\": unknown metric 'top2'. Did you mean 'top5'? Known: top1, top5",
    ", [columns], header \"LIN\": unknown field 'set.nrm'. Did you mean 'norm'?",
    ", [columns], header \"LIN\": field 'image_size' is 'big': input should be a valid integer",
    ", [columns], header \"ATT\": unknown evaluation 'attentive_prob'. Did you mean 'attentive_probe'?",
    ", row 6 (\"six\"): field 'optimization.global_batch' is 2000000: imagenet1k has only 1281167 training images.",
    ", claim 3 (\"Elsewhere\"): unknown suite 'quickstat'. Did you mean 'quickstart'?",
    ", claim 3 (\"Elsewhere\"): unknown row 'a'.",
]


def write(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf8")
    return path


def test_every_mistake_of_a_file_is_found_at_once(tmp_path):
    path = write(tmp_path, WRONG)
    found = check_file(path).mistakes
    assert all(line.startswith(str(path)) and "\n" not in line for line in found)
    told = {said: [line for line in found if said in line] for said in LINES}
    assert {said: lines for said, lines in told.items() if len(lines) != 1} == {}
    assert len(found) == len(LINES), found


@pytest.mark.parametrize("name", suites.names())
def test_the_suites_of_caebench_have_none(name):
    checked = check_file(suites.find(name))
    assert checked.mistakes == () and checked.plan is not None
    assert len(checked.plan.cells) == len(checked.plan.suite.rows) * len(checked.plan.suite.columns)


SMALL = """
[pretrain]
recipe = "cae"
[columns.knn]
header = "k-NN"
eval = "knn"
[[rows]]
label = "one"
[[rows]]
label = "two"
target = "pixels"
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            'recipe = "cae"',
            'recipe = "cae"\nepochs = "x"',
            "[pretrain]: field 'epochs' is 'x': input should be",
        ),
        (
            'recipe = "cae"',
            'recipe = "cae"\nset.methd = 1',
            "[pretrain]: unknown field 'set.methd'. Did you",
        ),
        ('recipe = "cae"', "recipe = 3", "field 'pretrain.recipe' is 3: input should be a valid string"),
        ("[pretrain]", "[pretrain", "not valid TOML"),
        ('label = "two"', 'label = "one"', "rows 1 and 2 are both 'one'"),
        ("[columns.knn]", "[columnss.knn]", "unknown field 'columnss'. Did you mean 'columns'?"),
    ],
)
def test_a_shared_mistake_is_told_once(tmp_path, old, new, said):
    found = check_file(write(tmp_path, SMALL.replace(old, new, 1))).mistakes
    assert len([line for line in found if said in line]) == 1, found
    assert len(found) == (2 if "columnss" in new else 1), found


def test_a_mistake_at_another_scale_names_the_scale(tmp_path):
    text = SMALL.replace('eval = "knn"', 'eval = "finetune"\nset.optimization.global_batch = 384')
    (found,) = check_file(write(tmp_path, text)).mistakes[:1]
    assert 'row 1 ("one"): at ' in found and " scale: " in found


def test_fields_that_are_right_only_together_are_right(tmp_path):
    """A group of 3 alone would be refused: it does not divide the recipe's batch of 32."""
    fields = "set = { orientation_group = 3, optimization.global_batch = 48 }"
    text = SMALL.replace('eval = "knn"', f'eval = "coco"\nmetric = "AP_box"\n{fields}')
    assert check_file(write(tmp_path, text)).mistakes == ()


def test_the_verb_prints_a_line_per_mistake_or_a_summary(tmp_path, capsys, monkeypatch):
    from tests.helpers import answer

    good, bad = write(tmp_path, SMALL), tmp_path / "bad.toml"
    bad.write_text(WRONG, encoding="utf8")
    found = answer(("suites", "check", str(good)), capsys, monkeypatch)
    assert (found.status, found.out) == (0, f"{good}: no mistake. 2 rows, 1 columns, 0 claims, 6 jobs.\n")
    found = answer(("suites", "check", str(good), str(bad)), capsys, monkeypatch)
    assert found.status == 2 and len(found.out.splitlines()) == 1 + len(LINES)
    found = answer(("suites", "check", "all"), capsys, monkeypatch)
    assert found.status == 0 and len(found.out.splitlines()) >= len(suites.names())
    found = answer(("suites", "check", str(bad), "--json"), capsys, monkeypatch)
    assert found.status == 2 and len(json.loads(found.out)[0]["mistakes"]) == len(LINES)


def test_a_command_on_a_file_of_several_mistakes_says_how_to_see_all(tmp_path):
    with pytest.raises(
        ValueError, match=r"row 2 .* 1 more: `caebench suites check .*mine\.toml` lists all\."
    ) as caught:
        suites.load(str(write(tmp_path, SMALL.replace('label = "two"', "").replace("[pretrain]", "a = 1\n[pretrain]"))))
    assert "\n" not in str(caught.value)


WITHOUT_SOUND_ROWS = """
[source]
title = "x"
[columns]
lin = { header = "LIN", eval = "linear_probe", published = "LINN", metric = "top9", set.nope = 1 }
knn = { header = "k", eval = "knn", data = "imagenett", metric = "topp", set.feature = "x" }
[[rows]]
label = "a"
id = "T1-B-CAE-1600x"
recipe = "caee"
[[claims]]
statement = "s"
section = "1"
parts = [{ higher = "aa/linn", lower = "quickstart:nope/nine" }]
"""


@pytest.mark.parametrize(
    "said",
    [
        "unknown recipe 'caee'",
        "header \"LIN\": field 'published' is 'LINN': no published set has such a number. Did you mean 'LIN'?",
        "header \"LIN\": unknown metric 'top9'",
        "header \"LIN\": unknown field 'set.nope'",
        "header \"k\": field 'data' is 'imagenett': data set",
        "header \"k\": unknown metric 'topp'",
        "header \"k\": field 'feature' is 'x'",
        "field 'id' is 'T1-B-CAE-1600x': no published set has such a row. Did you mean 'T1-B-CAE",
        "unknown row 'aa'",
        "unknown column 'linn'",
        "unknown row 'nope'",
        "unknown column 'nine'",
    ],
)
def test_a_mistake_hides_no_other(tmp_path, said):
    """Of columns where no row can be read, of a cell's row and column, and of names that only published sets know."""
    path = tmp_path / "mine.toml"
    path.write_text(WITHOUT_SOUND_ROWS)
    assert [line for line in check_file(path).mistakes if said in line], check_file(path).mistakes
