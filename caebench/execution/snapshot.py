"""The code that a job runs: the commit it was submitted with, kept in the store.

So an edit between submission and start, or between two slices, changes nothing.
"""

import io
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

from caebench.execution.provenance import CODE, MARKER, REPOSITORY, git
from caebench.plan.files import now


def take(store: Path, dirty_is_fine: bool = False) -> Path:
    """The snapshot of this checkout's code, made if it is not there.

    Raises:
        ValueError: the working tree has changes, or there is no checkout.
    """
    commit = git("rev-parse", "HEAD")
    if commit is None:
        raise ValueError(
            f"{REPOSITORY}: not a git checkout, so a job could not say what it ran. Run from a clone of caebench."
        )
    changes = git("status", "--porcelain", "--", *CODE)
    if changes and not dirty_is_fine:
        raise ValueError(
            f"{REPOSITORY}: uncommitted changes ({changes.splitlines()[0].strip()}, ...). Commit them, or use --dirty, "
            "which marks every result."
        )
    folder = store / "snapshots" / (f"{commit[:12]}-dirty-{now().replace(':', '')}" if changes else commit[:12])
    if not folder.exists():
        _write(folder, {"commit": commit, "dirty": bool(changes)})
    return folder


def _write(folder: Path, facts: dict[str, Any]) -> None:
    """All or nothing: two submitters may do it at once."""
    partial = folder.with_name(f"{folder.name}.{os.getpid()}.partial")
    partial.mkdir(parents=True)
    try:
        _copy_tree(partial) if facts["dirty"] else _extract_commit(partial)
        (partial / MARKER).write_text(json.dumps(facts), encoding="utf8")
        partial.rename(folder)
    except OSError:
        if not folder.exists():  # otherwise another submitter was first
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _extract_commit(target: Path) -> None:
    content = subprocess.run(
        ["git", "archive", "HEAD", "--", *CODE], cwd=REPOSITORY, capture_output=True, check=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        archive.extractall(target, filter="data")


def _copy_tree(target: Path) -> None:
    """The working tree as it is, new files too."""
    listed = git("ls-files", "--cached", "--others", "--exclude-standard", "--", *CODE) or ""
    for name in listed.splitlines():
        if (REPOSITORY / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, target / name)
