"""What is known of a method, an evaluation or a data set stands in few files, which are counted here (ADR 26).

docs/how-to/what-an-addition-touches.md has the counts; `.venv/bin/python tests/contracts/test_one_room.py` writes it.

The four that name a method's or an evaluation's class are its spec, the registry, its implementation and the table that
leads from one to the other. Of a data set there are at most two that know more than its name: its own, and one that
renders it or reads it along. Its name is a default of recipes.
"""

import ast
from functools import cache
from pathlib import Path

import pytest

from caebench.datasets.base import Dataset
from caebench.datasets.registry import OWN
from caebench.specs.methods.base import METHODS
from caebench.specs.registry import EVALUATIONS

PACKAGE = Path(__file__).parents[2] / "caebench"
MOST = 4


def names_in(path: Path) -> set[str]:
    """Every name, attribute and import of a file."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.alias):
            found.add(node.name)
    return found


@cache
def files() -> dict[str, set[str]]:
    """The names in each file of the package."""
    return {str(path.relative_to(PACKAGE)): names_in(path) for path in PACKAGE.rglob("*.py")}


CLASSES = sorted(
    {cls.__name__ for cls in METHODS.values()} | {type(recipe()).__name__ for recipe in EVALUATIONS.values()}
)


def files_naming(name: str) -> list[str]:
    """The files that name a class."""
    return sorted(place for place, names in files().items() if name in names)


@pytest.mark.parametrize("name", CLASSES)
def test_a_methods_or_an_evaluations_class_is_named_in_few_files(name):
    naming = files_naming(name)
    assert 2 < len(naming) <= MOST, f"{naming}: at most {MOST} (spec, registry, implementation, table)"


MOST_OF_A_DATA_SET = 2
# Where a name is what a recipe or a measurement runs on, or what recipes and formats of that name are called.
DEFAULTS = (
    *("specs/evaluations/", "specs/registry.py", "specs/inputs/dataset.py", "specs/targets.py", "bench/"),
    "datasets/own/formats.py",
)
LAYOUTS = {  # words that only who knows the layout writes
    "imagenet1k": "ILSVRC2012",
    "food101": "food-101",
    "clipart": "domainnet",
    "sketch": "domainnet",
    "ade20k": "ADEChallengeData2016",
    "coco": "2017.json",
    "imagenet_v2": "imagenetv2",
    "imagenet_real": "real.json",
    "imagenet_1pct": "percent.txt",
    "imagenet_10pct": "percent.txt",
    "broad": "photograph",
}


def constants_in(path: Path) -> list[object]:
    """Every string and number of a file that is no docstring; the fixed parts of f-strings too."""
    tree = ast.parse(path.read_text(encoding="utf8"))
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in prose]


@cache
def constants() -> dict[str, list[object]]:
    """The constants in each file of the package."""
    return {path.relative_to(PACKAGE).as_posix(): constants_in(path) for path in PACKAGE.rglob("*.py")}


def files_knowing(known: Dataset) -> list[str]:
    """Those that have a data set's name other than as a default, its published counts, or a word of its layout."""
    counts = {number for number in known.published or () if number % 1000}
    own = {place for place, found in constants().items() if known.name in found and not place.startswith(DEFAULTS)}
    own |= {place for place, found in constants().items() if counts & {one for one in found if type(one) is int}}
    word = LAYOUTS[known.name]
    own |= {place for place, found in constants().items() if any(isinstance(one, str) and word in one for one in found)}
    return sorted(own)


@pytest.mark.parametrize("known", OWN, ids=lambda known: known.name)
def test_what_is_known_of_a_data_set_stands_in_two_files(known):
    assert 0 < len(files_knowing(known)) <= MOST_OF_A_DATA_SET, files_knowing(known)


@pytest.mark.parametrize("known", OWN, ids=lambda known: known.name)
def test_only_the_registry_and_other_data_sets_import_a_data_set(known):
    module = type(known).__module__
    importing = {p.relative_to(PACKAGE).as_posix() for p in PACKAGE.rglob("*.py") if module in p.read_text("utf8")}
    assert "datasets/registry.py" in importing and all(place.startswith("datasets/") for place in importing)


PAGE = PACKAGE.parent / "docs" / "how-to" / "what-an-addition-touches.md"
BEGIN = "| class or data set | files | which |\n| --- | ---: | --- |\n"


def counted() -> str:
    """A row for each class and each data set: its files."""
    found = [(name, files_naming(name)) for name in CLASSES] + [(known.name, files_knowing(known)) for known in OWN]
    return "".join(f"| `{name}` | {len(own)} | {', '.join(f'`{one}`' for one in own)} |\n" for name, own in found)


def test_the_page_has_todays_counts():
    text = PAGE.read_text(encoding="utf8")
    assert text.partition(BEGIN)[2] == counted(), "run .venv/bin/python tests/contracts/test_one_room.py"


if __name__ == "__main__":
    before = PAGE.read_text(encoding="utf8").partition(BEGIN)[0]
    PAGE.write_text(before + BEGIN + counted(), encoding="utf8")
