"""The provenance of a number: commit, versions, machine. Read once per job and stored next to its result."""

import hashlib
import platform
import socket
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from caebench.execution import plugin_code
from caebench.execution.built import built_from
from caebench.execution.git import run_git, text_of
from caebench.files.atomic import read_json
from caebench.files.forms import Form, PluginForm, misfit

PACKAGES = (
    *("caebench", "torch", "torchvision", "timm", "numpy", "pillow", "scikit-image", "scikit-learn", "pycocotools"),
    *("onedl-mmengine", "onedl-mmcv", "onedl-mmsegmentation", "onedl-mmdetection"),
)
REPOSITORY = Path(__file__).parents[2]
MARKER = "snapshot.json"  # in a snapshot: its commit
PACKAGE = "caebench"
CODE = (PACKAGE, "suites", "pyproject.toml", "requirements.lock")  # changes here make a tree dirty: not results/
HASHED = (".py", ".toml", ".csv")  # of the package; Python and file servers add other files


class MarkerForm(Form):
    """A snapshot's marker."""

    commit: str
    dirty: bool
    sha256: str = ""
    plugins: Sequence[PluginForm] = ()


def collect() -> dict[str, Any]:
    """Provenance of work done now, in this process."""
    return {
        **code(),
        "host": socket.gethostname(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: installed(name) for name in PACKAGES},
    }


def code() -> dict[str, Any]:
    """The code of this process: its commit, whether it has changes, and the SHA-256 of the package's files.

    The commit is a snapshot's, or that of caebench's own checkout; without one, there is a reason and a version. Where
    there are plug-ins, the same of each.
    """
    files = hash_files(REPOSITORY / PACKAGE)
    marker = REPOSITORY / MARKER
    if marker.exists():
        known = read_marker(REPOSITORY)
        own = {**known, "dirty": known["dirty"] or known.get("sha256", files) != files, "sha256": files}
        return _with_plugins(own, known.get("plugins", []))
    try:
        found = built_from(REPOSITORY / PACKAGE) or checked_out()
    except ValueError as error:
        found = {"commit": None, "dirty": None, "no_commit": str(error), "version": installed(PACKAGE)}
    return _with_plugins({**found, "sha256": files}, [])


def checked_out() -> dict[str, Any]:
    """The commit of caebench's own checkout, and whether it has changes; raises what `ask_git` does."""
    return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain", "--", *CODE))}


def _with_plugins(own: dict[str, Any], known: list[dict[str, Any]]) -> dict[str, Any]:
    """The same with the code of plug-ins, if this process uses some; `known`: what a snapshot says of them."""
    found = [plugin_code.describe(one, REPOSITORY, known) for one in plugin_code.of_plugins()]
    return {
        **{name: value for name, value in own.items() if name != "plugins"},
        **({"plugins": found} if found else {}),
    }


def read_marker(snapshot: Path) -> dict[str, Any]:
    """What a snapshot says of its code.

    Raises:
        ValueError: the file that says so is damaged.
    """
    path, do = snapshot / MARKER, "Delete the folder that it is in, and submit the jobs again"
    known = read_json(path, do)
    if wrong := misfit(MarkerForm, known):
        raise ValueError(f"{path}: damaged ({wrong}). {do}.")
    return known


def describe(known: Mapping[str, Any]) -> str:
    """Some code in words: its commit or version, and the start of its hash."""
    name = f"commit {known['commit'][:12]}" if known.get("commit") else f"caebench {known.get('version')} of no commit"
    return f"{name}{' with changes' if known.get('dirty') else ''} (files {known['sha256'][:12]})"


def hash_files(folder: Path) -> str:
    """The SHA-256 of a package's files, with their names."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.suffix in HASHED and path.name[0] != "."):
        digest.update(f"{path.relative_to(folder).as_posix()}\n".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def commit() -> str | None:
    """The commit of this checkout; None if it is unknown."""
    return code()["commit"]


def git(*arguments: str) -> str:
    """Git's answer about caebench's own checkout, as text without the spaces around it; raises what `ask_git` does."""
    return text_of(ask_git(*arguments))


def ask_git(*arguments: str) -> bytes:
    """Git's answer about caebench's own checkout.

    Raises:
        ValueError: there is none, even if caebench is installed inside another repository; or git is not installed, or
            it refuses.
    """
    if not (REPOSITORY / ".git").exists():
        raise ValueError(f"{REPOSITORY}: not a git checkout of caebench")
    return run_git(REPOSITORY, *arguments)


def installed(name: str) -> str | None:
    """A package's version; None if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
