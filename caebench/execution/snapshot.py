"""The source that a job runs: the commit it was submitted with, copied to the store.

So an edit between submission and start, or between two slices, has no effect.
"""

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from caebench.execution import plugin_code
from caebench.execution.built import built_from, changed_files
from caebench.execution.provenance import CODE, MARKER, PACKAGE, REPOSITORY, ask_git, git, hash_files, read_marker
from caebench.files.atomic import now, replacing
from caebench.files.layout import SNAPSHOTS


def take(store: Path, dirty_is_fine: bool = False) -> Path:
    """The snapshot of this checkout's source, made if it does not exist.

    Raises:
        ValueError: the working tree has changes, there is no checkout, or the snapshot has changed since.
    """
    folder, facts = _plan(store, dirty_is_fine)
    if not folder.exists():
        _write(folder, facts)
    read_facts(folder)
    return folder


def planned(store: Path, dirty_is_fine: bool = False) -> Path:
    """The folder that `take` would make.

    Raises:
        ValueError: the working tree has changes, or there is no checkout.
    """
    return _plan(store, dirty_is_fine)[0]


def read_facts(folder: Path) -> dict[str, Any]:
    """A snapshot's commit, whether it has changes, and the SHA-256 of its package's files; the same of plug-ins.

    Raises:
        ValueError: its files have changed since it was taken.
    """
    facts, files = read_marker(folder), hash_files(folder / PACKAGE)
    changed = [one for one in facts.get("plugins", []) if plugin_code.hash_copied(folder, one) != one["sha256"]]
    if facts.get("sha256", files) != files or changed:
        raise ValueError(f"{folder}: files of this snapshot were changed or deleted. Delete the folder, and try again.")
    return {**facts, "sha256": files}


def _plan(store: Path, dirty_is_fine: bool) -> tuple[Path, dict[str, Any]]:
    """The folder of a snapshot taken now, and its commit."""
    try:
        commit, changes = _installed() or (git("rev-parse", "HEAD"), git("status", "--porcelain", "--", *CODE))
    except ValueError as error:
        do = "Run from a clone of caebench, or install a wheel that was built in one"
        raise ValueError(f"{error}. A job could not record its commit. {do}.") from error
    if changes and not dirty_is_fine:
        is_wheel = built_from(REPOSITORY / PACKAGE) is not None
        what, do = (
            ("changes since its commit", "Install it again") if is_wheel else ("uncommitted changes", "Commit them")
        )
        first = changes.splitlines()[0].strip()
        raise ValueError(f"{REPOSITORY}: {what} ({first}, ...). {do}, or use --dirty, which marks every result.")
    plugins, is_dirty = _plan_plugins(dirty_is_fine)
    name = f"{commit[:12]}-plugins-{_digest(plugins)}" if plugins else commit[:12]
    name += f"-dirty-{now().replace(':', '')}" if changes or is_dirty else ""
    facts = {"commit": commit, "dirty": bool(changes), **({"plugins": plugins} if plugins else {})}
    return store / SNAPSHOTS / name, facts


def _installed() -> tuple[str, str] | None:
    """The commit of an installed wheel, and what has changed since, in words; None: this is no wheel."""
    if (facts := built_from(REPOSITORY / PACKAGE)) is None:
        return None
    edited = next((path.name for path in changed_files(REPOSITORY / PACKAGE)), "the wheel was built with changes")
    return facts["commit"], edited if facts["dirty"] else ""


def _plan_plugins(dirty_is_fine: bool) -> tuple[list[dict[str, Any]], bool]:
    """What a snapshot taken now says of its plug-ins, and whether one has changes.

    Raises:
        ValueError: one has, and that is not fine.
    """
    codes = plugin_code.of_plugins()
    changed = [(code, found) for code in codes if (found := plugin_code.changes(code))]
    for code, found in changed if not dirty_is_fine else ():
        where, first = f"{code.root}: {code.plugin}", found.splitlines()[0].strip()
        raise ValueError(
            f"{where}: uncommitted changes ({first}, ...). Commit them, or use --dirty, which marks every result."
        )
    return [plugin_code.describe(code, REPOSITORY) for code in codes], bool(changed)


def _digest(plugins: list[dict[str, Any]]) -> str:
    return hashlib.sha256(json.dumps(plugins, sort_keys=True).encode()).hexdigest()[:8]


def _write(folder: Path, facts: dict[str, Any]) -> None:
    """Atomically, since two submitters may do it at once."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with replacing(folder) as partial:
            partial.mkdir()
            _copy_code(partial, facts)
            plugin_code.copy(plugin_code.of_plugins(), partial)
            content = {**facts, "sha256": hash_files(partial / PACKAGE)}
            (partial / MARKER).write_text(json.dumps(content), encoding="utf8")
    except OSError:
        if not folder.exists():  # otherwise another submitter was first
            raise


def _copy_code(target: Path, facts: Mapping[str, Any]) -> None:
    if built_from(REPOSITORY / PACKAGE) is not None:
        shutil.copytree(REPOSITORY / PACKAGE, target / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
    elif facts["dirty"]:
        _copy_tree(target)
    else:
        _extract_commit(target, facts["commit"])


def _extract_commit(target: Path, commit: str) -> None:
    content = ask_git("archive", commit, "--", *CODE)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        if hasattr(tarfile, "data_filter"):
            archive.extractall(target, filter="data")
        else:  # Python 3.11.0 to 3.11.3
            archive.extractall(target)  # nosec B202 # of our own commit, as git has packed it


def _copy_tree(target: Path) -> None:
    """The working tree as it is, including new files."""
    listed = git("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *CODE)
    for name in filter(None, listed.split("\0")):
        if (REPOSITORY / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, target / name)
