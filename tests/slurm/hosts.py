"""Node names in /etc/hosts: a process group of several nodes looks up the first one by its name."""

import fcntl
from collections.abc import Callable, Iterable
from pathlib import Path

HOSTS = Path("/etc/hosts")


def tag(owner: Path) -> str:
    return f"# caebench test cluster in {owner}"


def add(names: Iterable[str], owner: Path) -> None:
    lines = [f"127.0.0.1 {name} {tag(owner)}" for name in names]
    rewrite(lambda present: [*present, *lines])


def remove(owner: Path) -> None:
    if tag(owner) in HOSTS.read_text(encoding="utf8"):
        rewrite(lambda present: [line for line in present if not line.endswith(tag(owner))])


def rewrite(change: Callable[[list[str]], list[str]]) -> None:
    """In place, as in a container the file is a mount; locked, as other clusters do the same."""
    with HOSTS.open("r+", encoding="utf8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        lines = change(file.read().splitlines())
        file.seek(0)
        file.write("".join(f"{line}\n" for line in lines))
        file.truncate()
