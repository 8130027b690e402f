"""A checkpoint family is one row, in `specs/families.py` or `families_of_today.py`: no other file names it."""

import ast
from pathlib import Path

import caebench
from caebench.checkpoints.export import LAYOUTS
from caebench.specs.families import BY_NAME
from caebench.specs.families_of_today import TODAY
from caebench.specs.pixel_stats import NAMED
from caebench.specs.registry import SOURCES

PACKAGE = Path(caebench.__file__).parent
READERS = ("checkpoints", "execution", "cli")  # where a family's name is a family's, whatever else is called so


def words(path):
    """Every string of a file that is no comment."""
    tree = ast.parse(path.read_text(encoding="utf8"))
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def naming(names, *folders):
    """The files that name one of these families."""
    paths = (path for folder in folders for path in (PACKAGE / folder).rglob("*.py"))
    return {path.relative_to(PACKAGE).as_posix(): found for path in paths if (found := words(path) & names)}


def test_a_family_that_is_no_method_is_named_in_one_file():
    alone = BY_NAME.keys() - SOURCES.keys() - LAYOUTS.keys() - {"caebench"}
    assert {"data2vec", "splitmask", "peco", "maskfeat", "simmim"} <= alone
    today = {family.name for family in TODAY}
    found = naming(alone, ".")
    assert found.pop("specs/pixel_stats.py") == alone & NAMED.keys() == {"clip"}, (
        "the pixels of CLIP are called so, too"
    )
    found["specs/families.py"] -= NAMED.keys()
    assert found == {"specs/families.py": alone - today, "specs/families_of_today.py": today}


def test_what_reads_files_names_no_family():
    """Layouts in which we write (`ckpt export --to timm`) are called as families are."""
    found = naming(BY_NAME.keys() - LAYOUTS.keys() - {"caebench"}, *READERS)
    assert found == {"checkpoints/hub_configs.py": {"beit"}}, "Hugging Face's `model_type`, which is no family's name"
    assert naming(LAYOUTS.keys() - {"timm"}, *READERS).keys() == {"checkpoints/export.py"}  # timm is a package, too
