"""Statistics of pixels: their names, what is refused, and what happens where sources disagree."""

import pytest
from timm.data import constants

from caebench.specs.identity import identity
from caebench.specs.inputs.imported import Imported, imported
from caebench.specs.job import make_job
from caebench.specs.pixel_stats import (
    IMAGENET,
    NAMED,
    SourcedStats,
    canonical_name,
    make_stats,
    name_of,
    parse_stats,
    settle,
)

SHA = "ab" * 32
OWN = "0.31,0.42,0.57/0.21,0.33,0.47"


@pytest.mark.parametrize(
    ("name", "theirs"),
    [("imagenet", "IMAGENET_DEFAULT"), ("inception", "IMAGENET_INCEPTION"), ("clip", "OPENAI_CLIP")],
)
def test_names_are_timms_numbers(name, theirs):
    assert tuple(parse_stats(name)) == (getattr(constants, f"{theirs}_MEAN"), getattr(constants, f"{theirs}_STD"))


def test_equal_statistics_have_one_name():
    assert canonical_name("0.5,.5,0.50/0.5,0.5,0.5") == "inception"
    assert canonical_name("0.31,0.420,0.57/.21,0.33,0.47") == OWN
    assert name_of(parse_stats(OWN)) == OWN
    as_float32 = make_stats([0.48500001430511475, 0.4560000002384186, 0.4059999883174896], IMAGENET.std)
    assert as_float32 == NAMED["imagenet"]
    assert canonical_name("0.485,0.456,0.406/0.229,0.224,0.226") != "imagenet"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("inceptoin", "'inceptoin': expected imagenet, inception, clip, or M1,M2,M3/S1,S2,S3"),
        ("0.5,0.5,0.5", "expected imagenet"),
        ("0.5/0.5", "three numbers"),
        ("0.5,0.5,nan/0.5,0.5,0.5", "three numbers"),
        ("0.5,0.5,0.5/0.5,0.0,0.5", "a deviation above 0"),
        ("123.675,116.28,103.53/58.395,57.12,57.375", "a mean is from 0 to 1"),
    ],
)
def test_what_is_no_statistics_is_refused(text, said):
    with pytest.raises(ValueError, match="pixel statistics") as error:
        canonical_name(text)
    assert said in str(error.value)


def test_sources_that_agree_are_the_first_and_those_that_do_not_an_error():
    family, config = SourcedStats("imagenet", "the family MAE"), SourcedStats("inception", "x/config.json")
    assert settle([], None, "x") is None
    assert settle([], "0.5,0.5,0.5/0.5,0.5,0.5", "x") == ("inception", "--pixel-stats")
    assert settle([config, SourcedStats("inception", "y")], "inception", "x") == config
    with pytest.raises(ValueError, match=r"the family MAE says imagenet, and x/config.json inception. Correct one"):
        settle([family, config], None, "x")
    with pytest.raises(ValueError, match=r"the family MAE says imagenet, and --pixel-stats clip. Leave --pixel-stats"):
        settle([family], "clip", "x")


def job(**fields):
    return make_job(Imported(kind="imported", sha256=SHA, family="timm", **fields))


def test_imagenets_keep_the_id_and_others_have_their_own():
    plain = job()
    assert plain.id == "1e83c0da48", "the id from before the field was there"
    assert job(pixel_stats="imagenet").id == job(pixel_stats="0.485,0.456,0.406/0.229,0.224,0.225").id == plain.id
    ids = {job(pixel_stats=name).id for name in ("imagenet", "inception", "clip", OWN)}
    assert len(ids) == 4
    assert identity(job(pixel_stats="0.5,0.5,0.5/0.5,0.5,0.5").config)["pixel_stats"] == "inception"


def test_a_recipe_takes_the_familys_and_asks_for_what_a_family_leaves_open():
    assert imported(sha256=SHA, family="mae").pixel_stats == "imagenet"
    assert imported(sha256=SHA, family="hf", pixel_stats="clip").pixel_stats == "clip"
    for family in ("timm", "hf", "mmpretrain", "beit", "peco", "splitmask"):
        with pytest.raises(ValueError, match=f"family '{family}' holds encoders of different pixels: give pixel_stats"):
            imported(sha256=SHA, family=family)
