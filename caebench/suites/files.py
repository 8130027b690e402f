"""Where suite files are. Imports nothing heavy: shells complete names through it."""

from pathlib import Path

FOLDERS = (Path("suites"), Path(__file__).parents[2] / "suites", Path(__file__).parents[1] / "suites_builtin")


def suite_files() -> dict[str, Path]:
    """Suite files by name: those of the working folder's `suites/` first, then caebench's own."""
    found: dict[str, Path] = {}
    for folder in FOLDERS:
        for path in sorted(folder.glob("*.toml")):
            found.setdefault(path.stem, path)
    return found
