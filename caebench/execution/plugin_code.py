"""The code of plug-ins: which it is, whether it is committed, and copies of it for snapshots (ADR 42)."""

import hashlib
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caebench.execution.git import run_git, text_of
from caebench.specs import plugins
from caebench.specs.plugin import ENTRY_POINTS, Plugin, outermost

CACHES = ("__pycache__",)


@dataclass(frozen=True)
class Code:
    """A package or a module of a plug-in."""

    plugin: Plugin
    module: str  # that other code imports: `mylab`, or `mylab.caebench` in a namespace package
    root: Path  # its folder, or its only file

    @property
    def place(self) -> Path:
        """Where it is below a folder of Python's path."""
        place = Path(*self.module.split("."))
        return place if self.root.is_dir() else place.with_suffix(self.root.suffix)


def of_plugins() -> list[Code]:
    """The code of every plug-in of this process, each package once."""
    found: dict[str, Code] = {}
    for plugin in plugins.USED:
        for module in plugin.modules:
            if (place := outermost(module)) is not None and place[0] != "caebench":
                found.setdefault(place[0], Code(plugin, *place))
    return list(found.values())


def describe(code: Code, snapshot: Path, known: Iterable[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """A plug-in's module, version, commit, whether it has changes, and the SHA-256 of its files.

    What is in a snapshot has the commit that the snapshot's own list, `known`, says.
    """
    facts = {"plugin": code.plugin.name, "module": code.module, "version": code.plugin.version}
    if snapshot in code.root.parents and (own := [one for one in known if one.get("module") == code.module]):
        sha256 = hash_files(code.root, _files(code.root))
        return {**own[0], "dirty": own[0].get("dirty") or own[0].get("sha256") != sha256, "sha256": sha256}
    listed = _listed(code.root)
    facts["sha256"] = hash_files(code.root, listed or _files(code.root))
    if not listed:  # no repository, or one that ignores it, as that of an environment's folder
        return {**facts, "commit": None, "dirty": None}
    return {**facts, "commit": _ask(code.root, "rev-parse", "HEAD"), "dirty": bool(changes(code))}


def changes(code: Code) -> str:
    """What git says of its uncommitted changes; nothing where there are none, or no repository."""
    return _ask(code.root, "status", "--porcelain", "--", code.root.name if code.root.is_file() else ".") or ""


def copy(codes: Sequence[Code], target: Path) -> None:
    """Copy the code to a folder of Python's path, with the entry points of installed packages."""
    for code in codes:
        for path in _listed(code.root) or _files(code.root):
            place = target / code.place / path.relative_to(code.root) if code.root.is_dir() else target / code.place
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, place)
    for plugin in {code.plugin.name: code.plugin for code in codes if code.plugin.is_package}.values():
        _write_entry_points(plugin, target)


def _write_entry_points(plugin: Plugin, target: Path) -> None:
    """What Python reads of an installed package: so the job finds its entry points as they were."""
    info = target / f"{plugin.name.replace('-', '_')}-{plugin.version}.dist-info"
    info.mkdir()
    head = f"Metadata-Version: 2.1\nName: {plugin.name}\nVersion: {plugin.version}\n"
    (info / "METADATA").write_text(head, encoding="utf8")
    lines: list[str] = []
    for group, places in plugin.places.items():
        lines += [f"[{ENTRY_POINTS[group]}]", *(f"{number} = {place}" for number, place in enumerate(places))]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf8")


def hash_copied(folder: Path, facts: Mapping[str, Any]) -> str:
    """The SHA-256 of a plug-in's copy in a snapshot."""
    place = folder / Path(*str(facts["module"]).split("."))
    root = place if place.is_dir() else place.with_suffix(".py")
    return hash_files(root, _files(root))


def hash_files(root: Path, files: Iterable[Path]) -> str:
    """The SHA-256 of a plug-in's files, with their names."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path.relative_to(root).as_posix() if path != root else ''}\n".encode(errors="surrogateescape"))
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _listed(root: Path) -> list[Path]:
    """Its files that git knows, or would add; none without a repository, or where that ignores it."""
    folder = root if root.is_dir() else root.parent
    which = "." if root.is_dir() else root.name
    found = _ask(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", which)
    paths = [folder / name for name in (found or "").split("\0") if name]
    return sorted({path for path in paths if path.is_file()})


def _files(root: Path) -> list[Path]:
    """Its files, without Python's caches and what is hidden; none where it is gone."""
    if not root.is_dir():
        return [root] if root.is_file() else []
    return [path for path in sorted(root.rglob("*")) if path.is_file() and not _is_left_out(path.relative_to(root))]


def _is_left_out(path: Path) -> bool:
    return any(part.startswith(".") or part in CACHES for part in path.parts)


def _ask(root: Path, *arguments: str) -> str | None:
    """Git's answer in the folder that the code is in; None without one."""
    try:
        return text_of(run_git(root if root.is_dir() else root.parent, *arguments))
    except ValueError:
        return None
