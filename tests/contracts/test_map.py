"""docs/architecture.md has one line a package and one line a file: the first of its docstring.

Written anew by `.venv/bin/python tests/contracts/test_map.py`.
"""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "caebench"
MAP = PACKAGE.parent / "docs" / "architecture.md"
BEGIN = "## Every file\n"


def first_line(path: Path) -> str:
    """The first sentence of a module's docstring, in one line."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf8"))) or ""
    return " ".join(text.split("\n\n")[0].split())


def lines(folder: Path, level: int = 0) -> list[str]:
    found = [f"{'  ' * level}- **{folder.name}/**: {first_line(folder / '__init__.py')}"]
    files = sorted(path for path in folder.glob("*.py") if path.name != "__init__.py")
    found += [f"{'  ' * (level + 1)}- `{path.name}`: {first_line(path)}" for path in files]
    for inner in sorted(path for path in folder.iterdir() if (path / "__init__.py").exists()):
        found += lines(inner, level + 1)
    return found


def whole(text: str) -> str:
    """The document with today's map."""
    return text[: text.index(BEGIN) + len(BEGIN)] + "\n" + "\n".join(lines(PACKAGE)) + "\n"


def test_the_map_is_of_todays_files():
    text = MAP.read_text(encoding="utf8")
    assert text == whole(text), "run .venv/bin/python tests/contracts/test_map.py"


def test_every_file_says_what_it_is():
    assert [str(path) for path in PACKAGE.rglob("*.py") if not first_line(path)] == []


if __name__ == "__main__":
    MAP.write_text(whole(MAP.read_text(encoding="utf8")), encoding="utf8")
