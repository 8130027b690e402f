"""One input: the files that it changes in a place, and the command line that reads them."""

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple


class Special(NamedTuple):
    """What stands where a file is expected: a link, a pipe, a folder, or nothing."""

    what: Literal["link", "pipe", "folder", "gone"]
    target: str = ""  # of a link


Content = bytes | Special


@dataclass(frozen=True)
class Case:
    """An input of a kind. Paths of files are relative to the place; the command line runs in `work` of it."""

    kind: str
    arguments: tuple[str, ...]
    files: Mapping[str, Content] = field(default_factory=dict)

    def as_json(self, **more: Any) -> str:
        """The case as a small file."""
        files = {path: _shown(content) for path, content in self.files.items()}
        return json.dumps({"kind": self.kind, "arguments": self.arguments, "files": files, **more}, indent=1) + "\n"

    @classmethod
    def read(cls, path: Path) -> "Case":
        """A case from its file."""
        content = json.loads(path.read_text(encoding="utf8"))
        files = {name: _content(shown) for name, shown in content["files"].items()}
        return cls(content["kind"], tuple(content["arguments"]), files)


def _shown(content: Content) -> dict[str, str]:
    if isinstance(content, Special):
        return {content.what: content.target}
    try:
        return {"text": content.decode("ascii")}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode("ascii")}


def _content(shown: Mapping[str, str]) -> Content:
    ((what, text),) = shown.items()
    if what == "text":
        return text.encode("ascii")
    return base64.b64decode(text) if what == "base64" else Special(what, text)  # pyright: ignore[reportArgumentType]


def put(path: Path, content: Content) -> None:
    """Write a file, or what stands in its place; what is there goes."""
    clear(path)
    if content == Special("gone"):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content.what == "link":
        path.symlink_to(content.target)
    elif content.what == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()


def clear(path: Path) -> None:
    """Delete a file, a link, or a folder with all that is in it."""
    if path.is_dir() and not path.is_symlink():
        for inner in path.iterdir():
            clear(inner)
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
