"""Node names in /etc/hosts: a process group of several nodes looks up the first one by its name."""

from collections.abc import Iterable
from pathlib import Path

HOSTS = Path("/etc/hosts")


def tag(owner: Path) -> str:
    return f"# caebench test cluster in {owner}"


def add(names: Iterable[str], owner: Path) -> None:
    lines = "".join(f"127.0.0.1 {name} {tag(owner)}\n" for name in names)
    text = HOSTS.read_text(encoding="utf8")
    HOSTS.write_text(text + ("" if text.endswith("\n") else "\n") + lines, encoding="utf8")


def remove(owner: Path) -> None:
    """Rewritten in place: in a container the file is a mount, which cannot be replaced."""
    text = HOSTS.read_text(encoding="utf8")
    kept = [line for line in text.splitlines(keepends=True) if not line.rstrip("\n").endswith(tag(owner))]
    if "".join(kept) != text:
        HOSTS.write_text("".join(kept), encoding="utf8")
