"""Released files: listed, fetched and checked on a machine with a network, used on machines without one.

Fetched files are recorded in `assets.json` next to them, with their SHA-256. If no source publishes a file's hash,
later checks compare with that of its first fetch.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Literal, TypedDict
from urllib.error import URLError
from urllib.request import urlopen

from pydantic import RootModel, TypeAdapter, ValidationError

from caebench.files.atomic import now, read_json, replacing, write_json
from caebench.files.forms import Form, misfit
from caebench.files.hashing import digest_of
from caebench.files.toml import read_toml
from caebench.specs.assets import Asset
from caebench.specs.did_you_mean import suggest
from caebench.specs.mistakes import describe
from caebench.specs.pixel_stats import SourcedStats
from caebench.specs.site import Site

MANIFEST = Path(__file__).parents[1] / "assets.toml"
RECORD = "assets.json"
CHUNK = 2**20
TIMEOUT = 60.0  # seconds without a byte
State = Literal["absent", "present", "checked", "wrong"]


class Noted(TypedDict):
    """The record of a file that was present."""

    file: str
    sha256: str
    bytes: int
    seen: str


class NotedForm(Form):
    """The same, as it is checked."""

    file: str
    sha256: str
    bytes: int
    seen: str


class RecordForm(RootModel[dict[str, NotedForm]]):
    """The files of a folder by name."""


class AssetError(ValueError):
    """A missing or wrong file, and how to put it in place by hand."""

    def __init__(self, name: str, asset: Asset, folder: Path, what: str) -> None:
        place = folder.absolute() / asset.file
        do = f"Put it there by hand: from {asset.url} to {place}; then `caebench assets verify {name}`."
        super().__init__(f"{name}: {what}. {do}")


def read_manifest(path: Path | None = None) -> Mapping[str, Asset]:
    """The manifest: caebench's, or another in the same format.

    Raises:
        ValueError: it is missing or wrong.
    """
    path = path or MANIFEST
    try:
        return TypeAdapter(dict[str, Asset]).validate_python(read_toml(path))
    except FileNotFoundError as error:
        raise ValueError(f"{path}: no such manifest. Check the path.") from error
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
    return site.assets.folder or Path(".caebench/assets")


def fetch(name: str, asset: Asset, folder: Path) -> Noted:
    """Fetch a file atomically and check it; an existing one is only checked.

    Raises:
        AssetError: the link is dead, needs a browser, or the content is wrong.
    """
    if (folder / asset.file).exists():
        return verify(name, asset, folder)
    if asset.by_hand:
        raise AssetError(name, asset, folder, "its link opens a page that needs a browser")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with replacing(folder / asset.file) as partial:
            _download(asset.url, partial)
            _check(name, asset, folder, partial)
    except (URLError, HTTPException, TimeoutError, ConnectionError) as error:
        raise AssetError(name, asset, folder, f"{asset.url} cannot be fetched: {error}") from error
    return verify(name, asset, folder)


def verify(name: str, asset: Asset, folder: Path) -> Noted:
    """Check a file against the manifest and against the record of its first fetch, and record it.

    Raises:
        AssetError: it is missing, or has other content.
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


def stats_from_manifest(path: Path, sha256: str, manifest: Mapping[str, Asset]) -> Iterator[SourcedStats]:
    """The pixel statistics of a file in a manifest: of the entry with its digest, or without one with its name."""
    for name, asset in manifest.items():
        if asset.pixel_stats is not None and _is(path, sha256, asset):
            yield SourcedStats(asset.pixel_stats, f"the manifest of assets ([{name}])")


def _is(path: Path, sha256: str, asset: Asset) -> bool:
    if asset.sha256:
        return sha256 == asset.sha256
    kind, _, beginning = asset.published.partition(":")
    if path.name != asset.file or not kind:
        return path.name == asset.file
    return _digest(path, sha256, kind).startswith(beginning)


def _digest(path: Path, sha256: str, kind: str) -> str:
    """The known SHA-256, or a digest of another kind, since some projects publish only that."""
    return sha256 if kind == "sha256" else digest_of(path, kind)


def noted(folder: Path) -> dict[str, Noted]:
    """The records of the files in a folder."""
    path, do = folder / RECORD, "Delete it, and run `caebench assets verify`"
    found = read_json(path, do) if os.path.lexists(path) else {}
    if wrong := misfit(RecordForm, found):
        raise ValueError(f"{path}: damaged ({wrong}). {do}.")
    return found


def state(name: str, asset: Asset, folder: Path) -> State:
    """Whether a file is present and was checked before; reads no content."""
    path, known = folder / asset.file, noted(folder).get(name)
    if not path.is_file():
        return "absent"
    return "present" if known is None else "checked" if known["bytes"] == path.stat().st_size else "wrong"


def _download(url: str, path: Path) -> None:
    with urlopen(url, timeout=TIMEOUT) as answer, path.open("wb") as file:  # nosec B310 # `Asset.url` is http(s)
        expected = answer.headers.get("Content-Length")
        while block := answer.read(CHUNK):
            file.write(block)
    if expected is not None and path.stat().st_size != int(expected):
        raise ConnectionError(f"it ended after {path.stat().st_size} of {expected} bytes")


def _check(name: str, asset: Asset, folder: Path, path: Path) -> str:
    """Check a file's content; returns its SHA-256."""
    sha256 = digest_of(path, "sha256")
    known = noted(folder).get(name)
    expected = {"the manifest's": asset.sha256, "the one of its first fetch": known["sha256"] if known else ""}
    for whose, digest in expected.items():
        if digest and sha256 != digest:
            raise AssetError(name, asset, folder, f"{path} has SHA-256 {sha256}, not {whose}, {digest}")
    kind, _, beginning = asset.published.partition(":")
    if kind and not (found := _digest(path, sha256, kind)).startswith(beginning):
        raise AssetError(name, asset, folder, f"{path} has {kind} {found}, and the project publishes {beginning}...")
    if asset.bytes is not None and path.stat().st_size != asset.bytes:
        raise AssetError(name, asset, folder, f"{path} has {path.stat().st_size} bytes, not {asset.bytes}")
    return sha256
