"""The JSON Schema of suite files accepts what the loader accepts, and refuses what it refuses by a field's shape."""

import json
import tomllib

import pytest

from caebench.specs.registry import EVALUATIONS, SOURCES
from caebench.suites import loading as suites
from caebench.suites.schema import arguments, suite_schema
from tests.json_schema import problems
from tests.unit.suites.test_loading import GOOD, MISTAKES

SCHEMA = suite_schema()
BY_MEANING = {  # what no schema can say: relations between values
    "a mask of all",
    "not finite",
    "a batch beyond the data",
    "an image that does not divide",
    "two rows of one id",
    "a claim on no row",
    "a claim on no column",
    "a claim on no own row",
    "a rate beyond all numbers",
    "not TOML",
}


@pytest.mark.parametrize("name", suites.names())
def test_it_accepts_every_suite(name):
    assert problems(SCHEMA, tomllib.loads(suites.find(name).read_text(encoding="utf8"))) == []


def test_it_accepts_a_suite_without_source_and_pretrain():
    content = {"columns": {"knn": {"header": "k-NN", "eval": "knn"}}, "rows": [{"label": "a", "recipe": "random"}]}
    assert problems(SCHEMA, content) == []
    content["columns"]["knn"]["published"] = "LIN"
    assert problems(SCHEMA, content) == [".columns.knn.published: not allowed"]


@pytest.mark.parametrize("mistake", sorted(MISTAKES.keys() - BY_MEANING))
def test_it_refuses_a_mistake_of_shape(mistake):
    old, new, _ = MISTAKES[mistake]
    assert problems(SCHEMA, tomllib.loads(GOOD)) == []
    assert problems(SCHEMA, tomllib.loads(GOOD.replace(old, new, 1))) != []


@pytest.mark.parametrize("name", [*SOURCES, *EVALUATIONS])
def test_every_argument_of_a_recipe_is_described(name):
    found = arguments({**SOURCES, **EVALUATIONS}[name])
    assert [key for key, one in found.items() if not one.description.endswith(".")] == []


@pytest.mark.parametrize(
    ("row", "place"),
    [
        ({"recipe": "mae", "set": {"method": {"align_weight": 1.0}}}, ".rows.0.set.method.align_weight"),
        ({"set": {"method": {"decoder_dim": 1}}}, ".rows.0.set.method.decoder_dim"),
        ({"recipe": "random", "epochs": 3}, ".rows.0.epochs"),
    ],
)
def test_it_knows_the_fields_of_each_recipe(row, place):
    content = tomllib.loads(GOOD)
    content["rows"] = [{"label": "first", **row}]
    assert problems(SCHEMA, content) == [f"{place}: not allowed"]


def test_the_verb_prints_it(capsys, monkeypatch):
    from tests.helpers import answer

    found = answer(("schema", "suite"), capsys, monkeypatch)
    assert found.status == 0 and json.loads(found.out) == json.loads(json.dumps(SCHEMA))


def test_every_field_of_it_that_a_user_writes_is_described():
    names = ("Choice", "Claim", "ClaimPart", "Column", "Origin", "Row")
    own = {name: SCHEMA["$defs"][name]["properties"] for name in names}
    assert [
        (name, key) for name, fields in own.items() for key, one in fields.items() if "description" not in one
    ] == []
