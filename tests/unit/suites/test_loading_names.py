"""Which file a suite's name means; and suites that leave [source] or [pretrain] out."""

import pytest

from caebench.planning.graph import make_plan
from caebench.planning.scale import SCALES
from caebench.suites import files
from caebench.suites import loading as suites

SMALL = """
[columns.knn]
header = "k-NN"
eval = "knn"
[[rows]]
label = "floor"
recipe = "random"
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path, text=SMALL):
    path.write_text(text, encoding="utf8")
    return path


def test_a_bare_name_finds_the_file_here(here):
    write(here / "mine.toml")
    assert suites.load("mine").rows[0].label == "floor"
    assert suites.load_all("mine")[0].name == "mine"


def test_a_name_that_is_also_a_suite_of_caebench_is_refused(here):
    """Neither may be run in place of the other; the path says which one is meant."""
    write(here / "quickstart.toml")
    with pytest.raises(ValueError, match=r"suite 'quickstart': both \./quickstart\.toml and .*Write the path of the"):
        suites.load("quickstart")
    assert suites.load("./quickstart.toml").rows[0].label == "floor"
    assert suites.load("quickstart.toml").rows[0].label == "floor"


def test_a_file_named_all_is_refused(here):
    write(here / "all.toml")
    with pytest.raises(ValueError, match=r"suite 'all': both \./all\.toml and every suite\. Write \./all\.toml, or"):
        suites.load_all("all")
    assert suites.load_all("./all.toml")[0].name == "all"
    assert len(suites.every()) > 10


def test_the_folder_of_suites_itself_is_no_second_suite(here, monkeypatch):
    (here / "suites").mkdir()
    write(here / "suites" / "mine.toml")
    monkeypatch.setattr(files, "FOLDERS", (here / "suites",))
    monkeypatch.chdir(here / "suites")
    assert suites.load("mine").name == "mine"


def test_a_bare_name_is_no_path(here):
    (here / "deep").mkdir()
    write(here / "deep" / "mine.toml")
    with pytest.raises(ValueError, match=r"suite 'deep/mine': not found\. .*There is no \./deep/mine\.toml"):
        suites.load("deep/mine")


def test_a_suite_needs_neither_source_nor_pretrain(here):
    suite = suites.load(str(write(here / "mine.toml")))
    assert (suite.title, suite.table) == ("mine", None)
    assert [len(cell.jobs) for cell in make_plan(suite, SCALES["paper"]).cells] == [1]


def test_a_row_of_an_imported_checkpoint_needs_no_pretrain(here):
    row = f'[[rows]]\nlabel = "MAE, released"\nrecipe = "imported"\nfamily = "mae"\nsha256 = "{"0" * 64}"\n'
    suite = suites.load(str(write(here / "mine.toml", SMALL + row)))
    kinds = [job.inputs["encoder"].kind for cell in make_plan(suite, SCALES["nano"]).cells for job in cell.jobs]
    assert kinds == ["random_encoder", "imported"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('recipe = "random"', "quoted = true", "row 1 (\"floor\"): field 'quoted' is True: a suite without [source]"),
        (
            'eval = "knn"',
            'eval = "knn"\npublished = "LIN"',
            "header \"k-NN\": field 'published' is 'LIN': a suite with",
        ),
        (
            'recipe = "random"',
            "",
            'row 1 ("floor"): no recipe is named. Name one in the row, or in [pretrain] for all.',
        ),
    ],
)
def test_what_then_has_no_meaning_is_refused(here, old, new, said):
    with pytest.raises(ValueError, match=r"mine\.toml, ") as caught:
        make_plan(suites.load(str(write(here / "mine.toml", SMALL.replace(old, new)))), SCALES["paper"])
    assert said in str(caught.value)
