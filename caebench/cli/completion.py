"""What a shell offers for a half-written word: suites, jobs, cells, scales, sites. Quick, so no config is read here.

A file that cannot be read offers nothing: the command itself says what is wrong with it.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import typer

SCALES = ("nano", "lab", "nano-real", "lab-real", "paper")
ALL = "all"
SHORT = ("linear", "attentive", "linear_ade20k", "knn_ade20k")  # names that `eval --on` has for recipes
OF_A_PRETRAINING = "pretraining_cost"  # which it refuses


def scales(incomplete: str) -> list[str]:
    """Scales."""
    return [name for name in SCALES if name.startswith(incomplete)]


def sites(incomplete: str) -> list[str]:
    """Sites that have a file, and `local`."""
    from caebench.files.paths import SITES

    names = {"local", *(path.stem for path in SITES.expanduser().glob("*.toml"))}
    return sorted(name for name in names if name.startswith(incomplete))


def suites(incomplete: str) -> list[str]:
    """Suites by name, those of files in the working folder too, and `all`."""
    from caebench.suites.files import suite_files

    here = (path.stem for path in Path().glob("*.toml") if _content(path).keys() >= {"rows", "columns"})
    return sorted(name for name in {*suite_files(), *here, ALL} if name.startswith(incomplete))


def jobs(context: typer.Context, incomplete: str) -> list[str]:
    """Ids of jobs in the store; they are offered once a first digit is there, since a store has many."""
    if not incomplete:
        return []
    return sorted(job for job in _ids(_store(context)) if job.startswith(incomplete))


def suites_and_jobs(context: typer.Context, incomplete: str) -> list[str]:
    """Suites, and ids of jobs."""
    return [*suites(incomplete), *jobs(context, incomplete)]


def jobs_and_cells(context: typer.Context, incomplete: str) -> list[str]:
    """Ids of jobs; cells as SUITE/ROW/COLUMN, once the suite is there."""
    from caebench.suites.files import suite_files

    suite, slash, _ = incomplete.partition("/")
    if not slash:
        return [*(f"{name}/" for name in suites(incomplete) if name != ALL), *jobs(context, incomplete)]
    path = suite_files().get(suite, Path(f"{suite}.toml"))
    return [cell for cell in _cells(suite, _content(path)) if cell.startswith(incomplete)]


def _cells(suite: str, content: dict[str, Any]) -> Iterator[str]:
    try:
        rows = [row.get("id") or row["label"] for row in content["rows"]]
        columns = list(content["columns"])
    except (KeyError, TypeError, AttributeError):
        return
    for row in rows:
        yield from (f"{suite}/{row}/{column}" for column in columns)


def evaluations(context: typer.Context, incomplete: str) -> list[str]:
    """Evaluations that suites name, or with `--like` that suite's columns, in a list with commas."""
    from caebench.suites.files import suite_files

    like = context.params.get("like")
    if like:
        columns = _content(suite_files().get(like, Path(str(like)).with_suffix(".toml"))).get("columns", {})
        return _in_list(columns, incomplete)
    site = _content(_site_file(context)).get("data", {})
    found = (_content(path).get("columns", {}).values() for path in suite_files().values())
    names = {*SHORT, *(column["eval"] for columns in found for column in columns)} - {OF_A_PRETRAINING}
    data = [f"{name}:{known}" for name in names for known in site] if ":" in incomplete else []
    return _in_list([*names, *data], incomplete)


def published_rows(incomplete: str) -> list[str]:
    """Ids of rows that a suite has and a paper's table too, in a list with commas."""
    from caebench.suites.files import suite_files

    rows = (row for path in suite_files().values() for row in _content(path).get("rows", ()))
    return _in_list([row["id"] for row in rows if "id" in row], incomplete)


def _in_list(names: Iterable[str], incomplete: str) -> list[str]:
    """A list with commas whose last name is completed by each that it does not have yet."""
    given, comma, last = incomplete.rpartition(",")
    taken = given.split(",")
    return sorted({f"{given}{comma}{name}" for name in names if name.startswith(last) and name not in taken})


def _content(path: Path) -> dict[str, Any]:
    """A TOML file's content; nothing if it is not there, or not TOML."""
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf8"))
    except (OSError, ValueError):
        return {}


def _site_file(context: typer.Context) -> Path:
    """The file of the site that the options so far name."""
    from caebench.files.paths import SITES

    return SITES.expanduser() / f"{context.params.get('site') or 'local'}.toml"


def _store(context: typer.Context) -> Path:
    """The store that the options so far name, as `load_site` finds it."""
    from caebench.files.paths import STORE

    if given := context.params.get("store"):
        return Path(given)
    site = _content(_site_file(context))
    return Path(os.path.expandvars(os.environ.get("CAEBENCH_STORE") or str(site.get("store") or STORE))).expanduser()


def _ids(store: Path) -> Iterator[str]:
    """The ids of all job folders."""
    from caebench.files.layout import id_in, is_id

    return (job for path in store.glob("*/*-*") if is_id(job := id_in(path.name)))
