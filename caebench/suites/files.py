"""Where suite files are. Imports nothing heavy: shells complete names through it."""

from pathlib import Path

FOLDERS = (Path("suites"), Path(__file__).parents[2] / "suites", Path(__file__).parents[1] / "suites_builtin")


def suites_here() -> list[Path]:
    """The suite files in the working folder itself, which bare names find: TOML with rows and columns."""
    return [path for path in sorted(Path().glob("*.toml")) if _has_rows(path)]


def _has_rows(path: Path) -> bool:
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig")).keys() >= {"rows", "columns"}
    except (OSError, ValueError, RecursionError):  # no suite, as far as anyone can tell
        return False


def suite_files() -> dict[str, Path]:
    """Suite files by name: those of the working folder's `suites/` first, then caebench's own."""
    found: dict[str, Path] = {}
    for folder in FOLDERS:
        for path in sorted(folder.glob("*.toml")):
            found.setdefault(path.stem, path)
    return found
