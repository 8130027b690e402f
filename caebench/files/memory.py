"""The memory that this process may use: the machine's, or less in a container or a scheduler's job (cgroup 1 and 2)."""

import os
from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
LIMITS = {"": "memory.max", "memory": "memory.limit_in_bytes"}  # by controller: version 2 has one tree, version 1 many


def machine_memory() -> int:
    """Bytes of memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def memory_limit(cgroups: Path = CGROUPS, own: Path = OWN) -> int | None:
    """Bytes that the cgroups of this process allow; None if there is no limit, or none that can be read."""
    return min((limit for path in _files(cgroups, own) if (limit := _read(path)) is not None), default=None)


def usable_memory(cgroups: Path = CGROUPS, own: Path = OWN) -> int:
    """Bytes that this process may use: the smaller of the two."""
    return min(machine_memory(), memory_limit(cgroups, own) or machine_memory())


def _files(cgroups: Path, own: Path) -> Iterator[Path]:
    """The files with the limits of this process's groups, and of those above them, which hold for it too.

    In a container the path may be that of the host: then only the root of the tree is there.
    """
    try:
        lines = own.read_text(encoding="utf8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, place = (*line.split(":", 2), "", "")[:3]
        for controller in set(controllers.split(",")) & set(LIMITS):
            root, path = cgroups / controller, Path(place.lstrip("/"))
            if ".." not in path.parts:
                yield from (root / part / LIMITS[controller] for part in (path, *path.parents))


def _read(path: Path) -> int | None:
    """A limit; None for `max`, and where there is no such file."""
    try:
        text = path.read_text(encoding="utf8", errors="replace").strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None
