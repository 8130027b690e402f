"""Released files: listed, fetched where there is a network, checked, and used where there is none.

What was fetched is noted in `assets.json` beside the files, with its SHA-256: the first fetch of a file whose hash no
source gives is what later checks compare with.
"""

import hashlib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Literal, TypedDict
from urllib.error import URLError
from urllib.request import urlopen

from pydantic import TypeAdapter, ValidationError

from caebench.config.assets import Asset
from caebench.config.names import suggest
from caebench.config.pixels import Told
from caebench.config.site import Site, describe
from caebench.plan.files import now, read_json, write_json

MANIFEST = Path(__file__).parents[1] / "assets.toml"
RECORD = "assets.json"
CHUNK = 2**20
TIMEOUT = 60.0  # seconds without a byte
State = Literal["absent", "present", "checked", "wrong"]


class Noted(TypedDict):
    """What is known of a file that was here."""

    file: str
    sha256: str
    bytes: int
    seen: str


class AssetError(ValueError):
    """A file that is not here, and how to put it there by hand."""

    def __init__(self, name: str, asset: Asset, folder: Path, what: str) -> None:
        place = folder.absolute() / asset.file
        do = f"Put it there by hand: from {asset.url} to {place}; then `caebench assets verify {name}`."
        super().__init__(f"{name}: {what}. {do}")


def read_manifest(path: Path | None = None) -> Mapping[str, Asset]:
    """The manifest: caebench's, or another in its form.

    Raises:
        ValueError: it is missing or wrong.
    """
    path = path or MANIFEST
    try:
        content = tomllib.loads(path.read_text(encoding="utf8"))
        return TypeAdapter(dict[str, Asset]).validate_python(content)
    except FileNotFoundError as error:
        raise ValueError(f"{path}: no such manifest. Check the path.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not valid TOML: {error}. Correct the file.") from error
    except ValidationError as error:
        raise ValueError(f"{path}: {describe(error)}. Correct the file.") from error


def choose(manifest: Mapping[str, Asset], names: Sequence[str]) -> dict[str, Asset]:
    """The named entries, or all.

    Raises:
        ValueError: a name is not in the manifest.
    """
    for name in names:
        if name not in manifest:
            raise ValueError(f"asset '{name}': unknown.{suggest(name, manifest)} Known: {', '.join(manifest)}.")
    return {name: manifest[name] for name in names or manifest}


def folder_of(site: Site) -> Path:
    """Where a site keeps its assets."""
    return (site.assets.folder or Path(".caebench/assets")).expanduser()


def fetch(name: str, asset: Asset, folder: Path) -> Noted:
    """Fetch a file, all or nothing, and check it; one that is there is only checked.

    Raises:
        AssetError: the link is dead, needs a browser, or the content is not what it must be.
    """
    if (folder / asset.file).exists():
        return verify(name, asset, folder)
    if asset.by_hand:
        raise AssetError(name, asset, folder, "its link opens a page that only a browser passes")
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{asset.file}.partial"
    try:
        _download(asset.url, partial)
        _check(name, asset, folder, partial)
        partial.replace(folder / asset.file)
    except (URLError, HTTPException, TimeoutError, ConnectionError) as error:
        raise AssetError(name, asset, folder, f"{asset.url} cannot be fetched: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return verify(name, asset, folder)


def verify(name: str, asset: Asset, folder: Path) -> Noted:
    """Check a file against the manifest and against what was noted when it was first seen, and note it.

    Raises:
        AssetError: it is absent, or another file.
    """
    path = folder / asset.file
    if not path.is_file():
        raise AssetError(name, asset, folder, f"no such file: {path}")
    digest = _check(name, asset, folder, path)
    seen: Noted = {"file": asset.file, "sha256": digest, "bytes": path.stat().st_size, "seen": now()}
    known = noted(folder)
    if name not in known:
        write_json(folder / RECORD, {**known, name: seen})
    return known.get(name, seen)


def told_of(path: Path, manifest: Mapping[str, Asset]) -> Iterator[Told]:
    """What a manifest says of a file's pixels: of the entry whose digest it has, or lacking one its name."""
    for name, asset in manifest.items():
        if asset.pixel_stats is not None and _is(path, asset):
            yield Told(asset.pixel_stats, f"the manifest of assets ([{name}])")


def _is(path: Path, asset: Asset) -> bool:
    if asset.sha256:
        return _digest(path, "sha256") == asset.sha256
    kind, _, beginning = asset.published.partition(":")
    return path.name == asset.file and (not kind or _digest(path, kind).startswith(beginning))


def noted(folder: Path) -> dict[str, Noted]:
    """What was noted of the files of a folder."""
    return read_json(folder / RECORD) if (folder / RECORD).exists() else {}


def state(name: str, asset: Asset, folder: Path) -> State:
    """Whether a file is there, and was ever checked; reads no content."""
    path, known = folder / asset.file, noted(folder).get(name)
    if not path.is_file():
        return "absent"
    return "present" if known is None else "checked" if known["bytes"] == path.stat().st_size else "wrong"


def _download(url: str, path: Path) -> None:
    with urlopen(url, timeout=TIMEOUT) as answer, path.open("wb") as file:
        expected = answer.headers.get("Content-Length")
        while block := answer.read(CHUNK):
            file.write(block)
    if expected is not None and path.stat().st_size != int(expected):
        raise ConnectionError(f"it ended after {path.stat().st_size} of {expected} bytes")


def _check(name: str, asset: Asset, folder: Path, path: Path) -> str:
    """The SHA-256 of a file that is what it must be."""
    sha256 = _digest(path, "sha256")
    known = noted(folder).get(name)
    expected = {"the manifest's": asset.sha256, "the one of its first fetch": known["sha256"] if known else ""}
    for whose, digest in expected.items():
        if digest and sha256 != digest:
            raise AssetError(name, asset, folder, f"{path} has SHA-256 {sha256}, not {whose}, {digest}")
    kind, _, beginning = asset.published.partition(":")
    if kind and not (found := _digest(path, kind)).startswith(beginning):
        raise AssetError(name, asset, folder, f"{path} has {kind} {found}, and the project publishes {beginning}...")
    if asset.bytes is not None and path.stat().st_size != asset.bytes:
        raise AssetError(name, asset, folder, f"{path} has {path.stat().st_size} bytes, not {asset.bytes}")
    return sha256


def _digest(path: Path, kind: str) -> str:
    """SHA-256, or MD5, which is all that some projects publish."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(kind, usedforsecurity=False)).hexdigest()
