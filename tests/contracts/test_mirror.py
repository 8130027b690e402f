"""tests/unit/ mirrors the package: a module's tests are found by its name."""

from pathlib import Path

import pytest

import caebench

PACKAGE, UNIT = Path(caebench.__file__).parent, Path(__file__).parents[1] / "unit"
FILES = sorted(UNIT.rglob("test_*.py"))


def names(folder: Path) -> set[str]:
    """Modules and packages in a folder of the package."""
    return {path.stem for path in folder.iterdir() if path.suffix == ".py" or path.is_dir()}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(UNIT)))
def test_a_file_of_unit_tests_is_named_after_a_module(path):
    """`test_<module>.py`; or `test_<module>_<what>.py`, where a module has tests of several kinds."""
    folder = PACKAGE / path.parent.relative_to(UNIT)
    assert folder.is_dir(), f"{path}: there is no {folder}"
    stem = path.stem.removeprefix("test_")
    found = [name for name in names(folder) if stem == name or stem.startswith(f"{name}_")]
    assert found, f"{path}: no module of {folder} has this name. Tests across packages go to tests/contracts/."
