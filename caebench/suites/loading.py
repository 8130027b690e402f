"""Suites by name: `suites/<name>.toml` read into a frozen `Suite`.

Every mistake in a file is an error here that names file, row, field and what to do.
"""

import shlex
from pathlib import Path

from pydantic import ValidationError

from caebench.files.paths import expand
from caebench.specs.did_you_mean import suggest
from caebench.suites.checking import check, elsewhere, raised
from caebench.suites.claims import CellName
from caebench.suites.files import suite_files
from caebench.suites.mistakes import explain, read_content
from caebench.suites.recipes import SuiteError, look_up
from caebench.suites.suite import Suite

ALL = "all"


def read(path: Path) -> Suite:
    """Read a suite file.

    Raises:
        ValueError: it is not TOML.
        SuiteError: a field is unknown, missing or wrong, or a claim names an unknown cell.
    """
    content = read_content(path)
    try:
        suite = Suite.model_validate({**content, "path": path})
    except ValidationError as error:
        first, *others = explain(error, content)
        command = shlex.join(["caebench", "suites", "check", str(path)])
        more = f" {len(others)} more: `{command}` lists all." if others else ""
        raise SuiteError(str(path), first + more) from error
    check(suite)
    return suite


def load(name: str) -> Suite:
    """The suite of that name, or in that file. A name may be that of a file in the working folder, without `.toml`.

    Raises:
        ValueError: there is no such suite, there are two, or its file is wrong.
    """
    return read(find(name))


def find(name: str) -> Path:
    """The file of a suite.

    Raises:
        ValueError: there is no such suite, or there are two: one would be run in place of the other.
    """
    if name.endswith(".toml"):
        path = expand(Path(name))
        if not path.exists():
            raise ValueError(f"{name}: no such suite file. Check the path, or give a name: {', '.join(names())}.")
        return path
    paths = suite_files()
    here = Path(f"{name}.toml")
    if Path(name).name != name or not here.is_file():
        if name not in paths:
            known = f"Known: {', '.join(names())}. There is no ./{here} either."
            raise ValueError(f"suite '{name}': not found.{suggest(name, paths)} {known}")
        return paths[name]
    if name in paths and not here.samefile(paths[name]):
        raise ValueError(f"suite '{name}': both ./{here} and {paths[name]}. Write the path of the one that you mean.")
    return here


def find_all(name: str) -> list[Path]:
    """The file of a suite, or that of every suite for `all`.

    Raises:
        ValueError: there is no such suite, or there are two.
    """
    if name != ALL:
        return [find(name)]
    if (here := Path(f"{ALL}.toml")).is_file():
        raise ValueError(f"suite '{ALL}': both ./{here} and every suite. Write ./{here}, or rename the file.")
    return [path for _, path in sorted(suite_files().items())]


def load_all(name: str) -> list[Suite]:
    """The suite of that name or file, or every suite for `all`.

    Raises:
        ValueError: there is no such suite, there are two, or a file is wrong.
    """
    return [read(path) for path in find_all(name)]


def every() -> list[Suite]:
    """Every suite of the working folder's `suites/` and of caebench.

    Raises:
        ValueError: a file is wrong.
    """
    return [read(path) for _, path in sorted(suite_files().items())]


def names() -> list[str]:
    """The names of all suites."""
    return sorted(suite_files())


def find_suite(number: int) -> Suite:
    """The suite that mirrors a table of the paper.

    Raises:
        ValueError: no suite does.
    """
    suites = every()
    found = [suite for suite in suites if suite.table == number]
    if not found:
        known = sorted(suite.table for suite in suites if suite.table is not None)
        raise ValueError(f"--table {number}: no suite mirrors it. Tables with a suite: {', '.join(map(str, known))}.")
    return found[0]


def check_elsewhere(suite: Suite) -> None:
    """Load the other suites that claims name, and reject cells that do not exist.

    Raises:
        SuiteError: a claim names no suite, or no row or column of one.
    """
    for claim, cell in elsewhere(suite):
        for mistake in missing_elsewhere(cell, claim):
            raise mistake


def missing_elsewhere(cell: CellName, claim: str) -> list[SuiteError]:
    """What of the name of another suite's cell is unknown; `claim` is where it is named.

    Raises:
        ValueError: the other suite's file is wrong.
    """
    unknown = raised(lambda: look_up(dict.fromkeys(names()), cell.suite, claim, "suite", "Add suites in suites/."))
    return unknown or load(str(cell.suite)).missing(cell, claim)
