"""What enters an id, and what never does."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from caebench.planning.graph import make_plan
from caebench.planning.scale import SCALES
from caebench.specs.base import NOT_IDENTITY, Config
from caebench.specs.identity import canonical, full, identity
from caebench.specs.identity import job_id as identify
from caebench.suites import loading as suites


def job_id(config, inputs, version=1):
    return identify(config, [version], inputs)


class Left(Config):
    kind: Literal["left"]
    size: int = 1


class Right(Config):
    kind: Literal["right"]
    size: int = 1


Side = Annotated[Left | Right, Field(discriminator="kind")]


class Toy(Config):
    kind: Literal["toy"]
    side: Side
    depth: int = 4
    workers: Annotated[int, NOT_IDENTITY] = 8


class Grown(Toy):
    """The same config after a field was added."""

    alignment: float = 2.0


LEFT = Left(kind="left")
TOY = Toy(kind="toy", side=LEFT)


def test_a_new_field_at_its_default_keeps_every_id():
    grown = Grown(kind="toy", side=LEFT)
    assert job_id(grown, {}) == job_id(TOY, {})
    assert job_id(grown.replace(alignment=1.0), {}) != job_id(TOY, {})


def test_a_field_without_influence_on_results_never_enters():
    assert job_id(TOY.replace(workers=1), {}) == job_id(TOY, {})
    assert "workers" not in full(TOY)


def test_the_tag_of_a_union_always_enters():
    assert identity(TOY)["side"] == {"kind": "left"}
    assert job_id(TOY.replace(side=Right(kind="right")), {}) != job_id(TOY, {})


def test_a_nested_change_changes_the_id():
    assert job_id(TOY.replace(side=Left(kind="left", size=2)), {}) != job_id(TOY, {})


def test_inputs_and_versions_enter():
    before = job_id(TOY, {"data": "aaa"})
    assert before != job_id(TOY, {"data": "bbb"}) != job_id(TOY, {"other": "bbb"})
    assert job_id(TOY, {"a": "1", "b": "2"}) == job_id(TOY, {"b": "2", "a": "1"})
    assert job_id(TOY, {"data": "aaa"}, version=2) != before


def test_an_unknown_type_is_refused():
    class Odd(Config):
        kind: Literal["toy"]
        value: Any = None

    for value in ({1, 2}, object(), [1], {"a": 1}):
        with pytest.raises(TypeError, match="no canonical form"):
            job_id(Odd(kind="toy", value=value), {})


def test_whole_numbers_in_a_suite_are_the_same_as_in_a_recipe():
    """`warmup_epochs = 10` in TOML is an int; the field makes it the float that the recipe has."""

    class Rate(Config):
        kind: Literal["toy"]
        rate: float

    assert job_id(Rate.model_validate({"kind": "toy", "rate": 10}), {}) == job_id(Rate(kind="toy", rate=10.0), {})
    assert canonical(0.1 + 0.2) != canonical(0.3)


SUITE = """
[source]
title = "Two rows"
[pretrain]
recipe = "cae"
[columns.linear]
header = "LIN"
eval = "linear_probe"
[columns.knn]
header = "k-NN"
eval = "knn"
[[rows]]
label = "{label}"
set.method.masking.ratio = {ratio}
[[rows]]
label = "other"
set.method.masking.ratio = 0.6
"""


def ids(tmp_path, scale, **changes):
    path = tmp_path / "two.toml"
    path.write_text(SUITE.format(**{"label": "half", "ratio": 0.5, **changes}))
    plan = make_plan(suites.load(str(path)), SCALES[scale])
    return [[job.id for job in (*cell.jobs[0].ancestors(), cell.jobs[0])] for cell in plan.cells]


@pytest.mark.parametrize("scale", SCALES)
def test_a_label_changes_no_id(tmp_path, scale):
    assert ids(tmp_path, scale, label="fifty") == ids(tmp_path, scale)


@pytest.mark.parametrize("scale", SCALES)
def test_a_mask_ratio_changes_exactly_the_ids_below_it(tmp_path, scale):
    before, after = ids(tmp_path, scale), ids(tmp_path, scale, ratio=0.4)
    assert before[2:] == after[2:], "the other row stays"
    for old, new in zip(before[:2], after[:2], strict=True):
        changed = [a != b for a, b in zip(old, new, strict=True)]
        assert changed == [False] * (len(old) - 2) + [True, True], "the pretraining and its evaluation, not their data"


def test_seeds_are_jobs_of_their_own(tmp_path):
    path = tmp_path / "two.toml"
    path.write_text(SUITE.format(label="half", ratio=0.5))
    plan = make_plan(suites.load(str(path)), SCALES["paper"], [0, 1, 2])
    assert all(len({job.id for job in cell.jobs}) == 3 for cell in plan.cells)
    assert len(plan.jobs) == 2 * 3 * 3 + 2  # the data and DALL-E's file
