"""`caebench doctor`: what this machine has, and what would stop a run."""

import platform
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from caebench.datasets.registry import PUBLISHED
from caebench.execution.devices import MEMORY_OF_A_JOB, gpu_names
from caebench.execution.preflight import existing_parent
from caebench.execution.provenance import PACKAGES, code, describe, installed
from caebench.files.memory import machine_memory, usable_memory
from caebench.files.sizes import size
from caebench.specs import plugins
from caebench.specs.site import Site, load_site
from caebench.store.store import Store

LEAST_FREE = 2e9  # bytes: a nano run writes well under one gigabyte


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    what: str
    state: Literal["ok", "note", "bad"]
    found: str


def examine_site(name: str) -> list[Finding]:
    """Run all checks of a site, whose plug-ins may be broken.

    Raises:
        ValueError: its file is missing or wrong, and no plug-in is to blame.
    """
    broken = list(plugins.problems(*plugins.of_site(name)))
    found = [Finding("plug-in", "bad", problem) for problem in broken]
    found += [Finding(f"plug-in {one.name}", "ok", one.named_in) for one in plugins.USED]
    try:
        site = load_site(name, broken_plugins=True)
    except plugins.PluginError:  # what else the file says cannot be judged
        site = Site()
    return [*found, *examine(site)]


def examine(site: Site) -> list[Finding]:
    """Run all checks."""
    return [*_versions(), *_devices(), _memory(), *_roots(site), _disk(site.store)]


def _versions() -> Iterator[Finding]:
    yield Finding("python", "ok", platform.python_version())
    for name in PACKAGES:
        version = installed(name)
        yield Finding(
            name, "ok" if version else "bad", version or "not installed: run `make test` or the README's pip lines"
        )
    known = code()
    note = f"{known.get('no_commit')}: results will have no commit"
    yield Finding("commit", "ok" if known["commit"] else "note", describe(known) if known["commit"] else note)


def _devices() -> Iterator[Finding]:
    names = gpu_names()
    yield Finding("GPUs", "ok" if names else "note", ", ".join(names) or "none: nano scale only")


def _memory() -> Finding:
    usable, machine = usable_memory(), machine_memory()
    found = size(usable) if usable == machine else f"{size(usable)} of {size(machine)}, by a cgroup's limit"
    if usable < MEMORY_OF_A_JOB:
        return Finding("memory", "note", f"{found}: a nano job is counted with {size(MEMORY_OF_A_JOB)}")
    return Finding("memory", "ok", found)


def _roots(site: Site) -> Iterator[Finding]:
    for name in PUBLISHED:
        root = site.roots.get(name)
        if root is None:
            yield Finding(f"data {name}", "note", "not named in the site file: only paper scale and --real need it")
        else:
            there, part = root.exists(), " --subset" if site.data[name].subset else ""
            check = f"check it with `caebench data check {name} --root {shlex.quote(str(root))}{part}`"
            found = f"{root}; {check}" if there else f"{root}: not there"
            yield Finding(f"data {name}", "ok" if there else "bad", found)


def _disk(store: Path) -> Finding:
    if wrong := Store(store).misplaced():
        return Finding("free disk", "bad", wrong)
    free = shutil.disk_usage(existing_parent(store)).free
    return Finding("free disk", "ok" if free > LEAST_FREE else "bad", f"{size(free)} for the store {store}")
