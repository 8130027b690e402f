"""A mistake in a suite stops when it is read or planned, and says file, row or field, value, and what to do."""

from functools import partial

import pytest

from caebench.planning.graph import make_plan
from caebench.planning.scale import SCALES
from caebench.planning.setup import set_up
from caebench.suites import loading as suites
from caebench.suites.claims import CellName
from caebench.suites.recipes import SuiteError

GOOD = """
[source]
title = "A suite"
[pretrain]
recipe = "cae"
[columns.linear]
header = "LIN"
eval = "linear_probe"
[[rows]]
label = "first"
[[rows]]
label = "second"
target = "pixels"
[[claims]]
statement = "Pixels are no worse"
section = "Sec. 5.3"
parts = [
    { higher = "second/linear", lower = "first/linear", margin = -0.5 },
    { higher = ["first/linear"], lower = "mine:second/linear", tolerance = 1.0 },
]
"""
CLAIM = 'claim 1 ("Pixels are no worse")'
ROW = 'row 2 ("second")'
MISTAKES = {
    "unknown key": ('label = "second"', 'label = "second"\nepoch = 3', [ROW, "'epoch'", "Did you mean 'epochs'?"]),
    "a path": ("[source]", 'path = "x"\n[source]', ["unknown field 'path'", "Fields: source, pretrain"]),
    "unknown table": ("[source]", "[sourc]\n[source]", ["'sourc'", "Did you mean 'source'?"]),
    "unknown column key": ('header = "LIN"', 'header = "LIN"\nmetrc = "top5"', ["metrc", "Did you mean 'metric'?"]),
    "unknown recipe": (
        'target = "pixels"',
        'recipe = "cea"',
        [ROW, "'cea'", "Did you mean 'cae'?", "caebench/specs/"],
    ),
    "no recipe": ('recipe = "cae"', "", ["row 1", "no recipe is named", "Known: cae"]),
    "unknown evaluation": ('"linear_probe"', '"linear_prob"', ["LIN", "'linear_prob'", "Did you mean 'linear_probe'?"]),
    "unknown metric": ('header = "LIN"', 'header = "LIN"\nmetric = "top2"', ["LIN", "'top2'", "Known: top1"]),
    "unknown set field": (
        'target = "pixels"',
        "set.method.align_wait = 1.0",
        [ROW, "'set.method.align_wait'", "Did you mean 'align_weight'?"],
    ),
    "wrong type": ('target = "pixels"', 'set.method.align_weight = "big"', [ROW, "align_weight", "'big'", "number"]),
    "out of range": ('target = "pixels"', "set.method.regressor_depth = 0", [ROW, "regressor_depth", "0", "greater"]),
    "mask ratio 0": ('target = "pixels"', "set.method.masking.ratio = 0.0", [ROW, "ratio", "0.0", "greater than 0"]),
    "mask ratio 1": ('target = "pixels"', "set.method.masking.ratio = 1.0", [ROW, "ratio", "1.0", "less than 1"]),
    "a mask of all": ('target = "pixels"', "set.method.masking.ratio = 0.999", [ROW, "ratio", "0.999", "196 patches"]),
    "not finite": ('target = "pixels"', "set.method.align_weight = inf", [ROW, "align_weight", "inf"]),
    "an argument not accepted": (
        'target = "pixels"',
        'recipe = "random"\nepochs = 3',
        [ROW, "'random' takes no 'epochs'", "It takes: variant"],
    ),
    "unknown variant": ('target = "pixels"', 'variant = "vit_x"', [ROW, "variant", "'vit_x'", "vit_b"]),
    "unknown target": ('target = "pixels"', 'target = "pixel"', [ROW, "'target' is 'pixel'", "pixels"]),
    "no label": ('label = "second"\n', "", ["row 2", "label", "required"]),
    "a batch beyond the data": (
        'target = "pixels"',
        "set.optimization.global_batch = 2000000",
        [ROW, "global_batch", "2000000", "1281167", "smaller batch"],
    ),
    "an image that does not divide": ('target = "pixels"', "set.image_size = 220", [ROW, "220", "patch size 16"]),
    "two rows of one id": (
        'label = "second"',
        'label = "second"\nid = "first"',
        ["rows 1 and 2", "'first'", "its own id"],
    ),
    "a claim on no row": (
        '"second/linear"',
        '"secnd/linear"',
        [CLAIM, "row 'secnd'", "'second'?", "Known: first, second"],
    ),
    "a claim on no column": ('"second/linear"', '"second/LIN"', [CLAIM, "column 'LIN'", "Known: linear", "ROW/COLUMN"]),
    "a claim on no own row": ('"mine:second', '"mine:third', [CLAIM, "row 'third'", "Known: first, second"]),
    "a claim on no cell": ('"second/linear"', '"second"', [CLAIM, "'second' is not a cell", "ROW/COLUMN"]),
    "a claim that asks two things": (
        "tolerance = 1.0",
        "tolerance = 1.0, margin = 0.0",
        [CLAIM, "'parts.1'", "Give one of them"],
    ),
    "a claim on nothing": ('higher = ["first/linear"]', "higher = []", [CLAIM, "parts.1.higher", "at least 1"]),
    "a claim without parts": ("parts = [", "parts = []\nsays_not = [", [CLAIM]),
    "unknown key of a claim": ("section =", 'sectio = ""\nsection =', [CLAIM, "'sectio'", "Did you mean 'section'?"]),
    "unknown key of a part": ("margin = -0.5", "margn = -0.5", [CLAIM, "margn", "Did you mean 'margin'?", "tolerance"]),
    "a claim with no sentence": (
        'statement = "Pixels are no worse"',
        "",
        ['claim 1 ("no statement")', "'statement'", "required"],
    ),
    "a seed of all rows": (
        'recipe = "cae"',
        'recipe = "cae"\nset.seed = 3',
        ["[pretrain]: field 'set.seed': seeds are no part of a suite. Remove it, and give --seeds 0,1,2 to `run`"],
    ),
    "a seed of a row": (
        'target = "pixels"',
        "set.seed = 3",
        [f"{ROW}: field 'set.seed': seeds are no part of a suite."],
    ),
    "a seed of a column": (
        'header = "LIN"',
        'header = "LIN"\nset.seed = 3',
        ["\"LIN\": field 'set.seed': seeds are no"],
    ),
    "true for a number": (
        'target = "pixels"',
        "epochs = true",
        [f"{ROW}: field 'epochs' is True: input should be no truth value"],
    ),
    "true for a set number": (
        'target = "pixels"',
        "set.optimization.epochs = true",
        [ROW, "field 'epochs' is True: input should be a valid integer"],
    ),
    "true for a rate": (
        'target = "pixels"',
        "set.method.align_weight = true",
        ["align_weight", "True", "number"],
    ),
    "a number for true": ('header = "LIN"', 'header = "LIN"\nset.norm = 1', ["'norm' is 1", "valid boolean"]),
    "a number in quotes": ('target = "pixels"', 'set.image_size = "224"', ["image_size", "'224'", "valid integer"]),
    "true for the paper's table": ('title = "A suite"', 'title = "A suite"\ntable = true', ["source.table", "integer"]),
    "a rate beyond all numbers": ('target = "pixels"', "set.method.align_weight = 1e400", ["align_weight", "finite"]),
    "epochs beyond all numbers": ('target = "pixels"', "epochs = 1e400", [ROW, "'epochs' is inf", "finite"]),
    "a date for a number": ('target = "pixels"', "epochs = 2024-01-01", ["field 'rows.1.epochs' is a date or a time"]),
    "not TOML": ("[source]", "[source", ["not valid TOML", "Correct the file"]),
}


def write(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf8")
    return path


def test_the_suite_below_all_mistakes_is_right(tmp_path):
    plan = make_plan(suites.load(str(write(tmp_path, GOOD))), SCALES["paper"])
    assert [len(cell.jobs) for cell in plan.cells] == [1, 1]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_explained(tmp_path, mistake):
    old, new, said = MISTAKES[mistake]
    assert GOOD.count(old) >= 1
    path = write(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(ValueError, match=r"mine\.toml") as caught:
        make_plan(suites.load(str(path)), SCALES["paper"])
    message = str(caught.value)
    assert message.startswith(str(path))
    assert [part for part in said if part not in message] == [], message
    assert "\n" not in message and "pydantic" not in message


def test_latin_1_is_not_taken_for_toml(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_bytes(GOOD.replace("first", "fr\u00fch").encode("latin1"))
    with pytest.raises(ValueError, match=r"mine\.toml: not valid TOML: line 10 is not in UTF-8 \(byte 0xfc\)"):
        suites.load(str(path))


def test_an_unknown_suite_is_named_with_its_neighbour():
    with pytest.raises(ValueError, match=r"suite 'quickstat': not found\. Did you mean 'quickstart'\? Known: "):
        suites.load("quickstat")


def test_a_table_without_a_suite_is_named():
    with pytest.raises(ValueError, match=r"--table 99: no suite mirrors it\. Tables with a suite: .*7"):
        suites.find_suite(99)


@pytest.mark.parametrize(
    ("text", "said"), [("0,0", "different"), ("0,1,0", "different"), ("-1", "below 0"), ("a", "whole"), ("", "whole")]
)
def test_seeds_that_are_no_list_of_different_numbers_are_refused(text, said):
    from caebench.cli.options import parse_seeds

    with pytest.raises(ValueError, match=said) as caught:
        parse_seeds(text)
    assert repr(text) in str(caught.value)


def test_row_settings_win_over_the_shared_ones(tmp_path):
    text = GOOD.replace('recipe = "cae"', 'recipe = "cae"\nepochs = 800\nset.method.align_weight = 1.0')
    text = text.replace('target = "pixels"', "epochs = 1600\nset.method.align_weight = 0.5")
    table = suites.load(str(write(tmp_path, text)))
    first, second = (table.pretraining(row) for row in table.rows)
    assert (first.optimization.epochs, first.method.align_weight) == (800, 1.0)
    assert (second.optimization.epochs, second.method.align_weight) == (1600, 0.5)
    assert second.optimization.warmup_epochs == 40.0, "the recipe's own, for 1600 epochs"


def test_another_recipe_in_a_row_takes_only_what_it_accepts(tmp_path):
    text = GOOD.replace(
        'recipe = "cae"', 'recipe = "cae"\nvariant = "vit_l"\nepochs = 800\nset.method.align_weight = 1.0'
    )
    text = text.replace('target = "pixels"', 'recipe = "random"')
    table = suites.load(str(write(tmp_path, text)))
    assert table.pretraining(table.rows[1]).variant == "vit_l"


def test_a_whole_part_can_be_replaced(tmp_path):
    text = GOOD.replace('target = "pixels"', 'set.method.target = { kind = "pixels", normalize_patches = false }')
    table = suites.load(str(write(tmp_path, text)))
    target = table.pretraining(table.rows[1]).method.target
    assert target.kind == "pixels" and not target.normalize_patches


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("T7-50%/linear", (None, "T7-50%", "linear")),
        ("T8-d-VAE (IN-1K)/linear", (None, "T8-d-VAE (IN-1K)", "linear")),
        ("CAE*/BEiT/linear", (None, "CAE*/BEiT", "linear")),
        ("detection-coco:T3-B-CAE*-300/box", ("detection-coco", "T3-B-CAE*-300", "box")),
        ("CAE: no decoder/linear", (None, "CAE: no decoder", "linear")),
    ],
)
def test_a_cell_divides_at_the_last_slash(text, cell):
    assert CellName.parse(text) == cell


@pytest.mark.parametrize("text", ["linear", "/linear", "T7-50%/", ""])
def test_half_a_cell_is_none(text):
    with pytest.raises(ValueError, match="is not a cell"):
        CellName.parse(text)


def test_a_claim_reads_cells_in_order(tmp_path):
    table = suites.load(str(write(tmp_path, GOOD)))
    (claim,) = table.claims
    assert claim.cells == ["second/linear", "first/linear", "mine:second/linear"]
    assert [(part.margin, part.tolerance) for part in claim.parts] == [(-0.5, None), (0.0, 1.0)]
    row, column = table.find(CellName.parse("second/linear"), "here")
    assert (row.label, column.header) == ("second", "LIN")


def test_a_row_with_an_id_is_called_by_it(tmp_path):
    named = GOOD.replace('label = "second"', 'label = "Pixels"\nid = "second"')
    assert suites.load(str(write(tmp_path, named))).rows[1].key == "second"


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("ablation-mask-ratio:T7-50%/linear", None),
        ("ablation-mask-ratio:T7-55%/linear", "unknown row 'T7-55%'. Did you mean 'T7-50%'?"),
        ("ablation-mask-ratio:T7-50%/box", "unknown column 'box'. Known: linear"),
        ("ablation-mask-rate:T7-50%/linear", "unknown suite 'ablation-mask-rate'. Did you mean 'ablation-mask-ratio'?"),
    ],
)
def test_a_plan_checks_cells_of_other_suites(tmp_path, cell, said):
    suite = suites.load(str(write(tmp_path, GOOD.replace('"mine:second/linear"', f'"{cell}"'))))
    plan = partial(set_up, str(suite.path), "paper", "local", tmp_path, [0])
    if said is None:
        plan()
        return
    with pytest.raises(SuiteError) as caught:
        plan()
    assert str(caught.value).startswith(f"{suite.path}, {CLAIM}: ") and said in str(caught.value)
