"""`caebench doctor`: what this machine has, and what of it would stop a run."""

import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from caebench.config.site import Site
from caebench.execution.devices import gpu_names
from caebench.execution.preflight import existing_parent
from caebench.execution.provenance import PACKAGES, git, installed

LEAST_FREE = 2e9  # bytes: a nano run leaves well under one gigabyte


@dataclass(frozen=True)
class Finding:
    """One thing looked at."""

    what: str
    state: Literal["ok", "note", "bad"]
    found: str


def examine(site: Site) -> list[Finding]:
    """Look at everything."""
    return [*_versions(), *_devices(), *_roots(site), _disk(site.store)]


def _versions() -> Iterator[Finding]:
    yield Finding("python", "ok", platform.python_version())
    for name in PACKAGES:
        version = installed(name)
        yield Finding(
            name, "ok" if version else "bad", version or "not installed: run `make test` or the README's pip lines"
        )
    commit = git("rev-parse", "--short", "HEAD")
    yield Finding("commit", "ok" if commit else "note", commit or "not a git checkout: results will carry no commit")


def _devices() -> Iterator[Finding]:
    names = gpu_names()
    yield Finding("GPUs", "ok" if names else "note", ", ".join(names) or "none: nano scale only")


def _roots(site: Site) -> Iterator[Finding]:
    for name, root in site.data:
        if root is None:
            yield Finding(f"data {name}", "note", "not named in the site file: needed at paper scale only")
        else:
            there = root.is_dir()
            found = f"{root}; check it with `caebench data check {name}`" if there else f"{root}: no such folder"
            yield Finding(f"data {name}", "ok" if there else "bad", found)
    for name, path in site.extras:
        if path is not None:
            there = path.exists()
            yield Finding(f"extra {name}", "ok" if there else "bad", str(path) if there else f"{path}: not there")


def _disk(store: Path) -> Finding:
    free = shutil.disk_usage(existing_parent(store)).free
    return Finding("free disk", "ok" if free > LEAST_FREE else "bad", f"{free / 1e9:.1f} GB for the store {store}")
