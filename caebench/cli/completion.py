"""What a shell offers for a half-written word: suites, jobs, cells, scales, sites. Quick, so no config is read here.

A file that cannot be read offers nothing: the command itself says what is wrong with it.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

SCALES = ("nano", "lab", "nano-real", "lab-real", "paper")
ALL = "all"


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


def _content(path: Path) -> dict[str, Any]:
    """A TOML file's content; nothing if it is not there, or not TOML."""
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf8"))
    except (OSError, ValueError):
        return {}


def _store(context: typer.Context) -> Path:
    """The store that the options so far name, as `load_site` finds it."""
    from caebench.files.paths import SITES, STORE

    if given := context.params.get("store"):
        return Path(given)
    site = _content(SITES.expanduser() / f"{context.params.get('site') or 'local'}.toml")
    return Path(os.path.expandvars(os.environ.get("CAEBENCH_STORE") or str(site.get("store") or STORE))).expanduser()


def _ids(store: Path) -> Iterator[str]:
    """The ids of all job folders."""
    from caebench.files.layout import id_in, is_id

    return (job for path in store.glob("*/*-*") if is_id(job := id_in(path.name)))
