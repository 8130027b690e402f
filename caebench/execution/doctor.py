"""`caebench doctor`: what this machine has, and what would stop a run."""

import platform
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from caebench.datasets.registry import PUBLISHED
from caebench.execution.assets import read_manifest, state
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
    do: str = ""  # what to do; empty where nothing is


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
    return [*_versions(), *_devices(), _memory(), *_roots(site), _assets(site), _disk(site.store)]


def _versions() -> Iterator[Finding]:
    yield Finding("python", "ok", platform.python_version())
    for name in PACKAGES:
        version = installed(name)
        do = "" if version else "run `make test` or the README's pip lines"
        yield Finding(name, "ok" if version else "bad", version or "not installed", do)
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
    """Each data set: whether its root is there and looks like it. No image is opened; `data check` does that."""
    for name, known in PUBLISHED.items():
        root, what = site.roots.get(name), f"data {name}"
        if root is None:
            words = "not named in the site file: only paper scale and --real need it"
            yield Finding(what, "note", words, f'[data] {name} = "PATH": {known.layout}')
        elif wrong := known.glance(root):
            yield Finding(what, "bad", f"{root}: {wrong}", f"correct the path in the site file, [data]. {known.source}")
        else:
            part = " --subset" if site.data[name].subset else ""
            check = f"`caebench data check {name} --root {shlex.quote(str(root))}{part}`"
            yield Finding(what, "ok", f"{root}: looks like it; no image was opened", f"{check} reads every image")


def _assets(site: Site) -> Finding:
    """The released file that suites read."""
    what, path = "asset dalle_encoder", site.assets.dalle_encoder
    if path is None:
        words = "not named in the site file: only DALL-E's targets at paper scale need it"
        return Finding(what, "note", words, "`caebench assets fetch dalle_encoder`, then name it in [assets]")
    fetch = "correct the path in the site file, [assets], or get it: `caebench assets fetch dalle_encoder`"
    if not path.is_file():
        return Finding(what, "bad", f"{path}: no such file", fetch)
    asset = read_manifest(None)["dalle_encoder"]
    if path.stat().st_size == 0 or (path.name == asset.file and state("dalle_encoder", asset, path.parent) == "wrong"):
        return Finding(what, "bad", f"{path}: empty, or changed since it was fetched", fetch)
    return Finding(what, "ok", str(path))


def _disk(store: Path) -> Finding:
    if wrong := Store(store).misplaced():
        return Finding("free disk", "bad", wrong)
    free = shutil.disk_usage(existing_parent(store)).free
    is_enough, found = free > LEAST_FREE, f"{size(free)} for the store {store}"
    return Finding("free disk", "ok" if is_enough else "bad", found, "" if is_enough else "free some, or use --store")
