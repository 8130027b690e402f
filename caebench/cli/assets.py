"""`caebench assets`: released files that suites name."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from caebench.cli.options import JsonOption, SiteOption, print_json

if TYPE_CHECKING:
    from caebench.execution.assets import Noted

Names = Annotated[list[str] | None, typer.Argument(help="Names of the manifest; `assets list` shows them.")]
FolderOption = Annotated[
    Path | None, typer.Option("--folder", help="Where the files lie. Default: the site's [assets] folder.")
]
ManifestOption = Annotated[
    Path | None, typer.Option("--manifest", help="A manifest of your own, in the form of caebench/assets.toml.")
]


def list_assets(
    site: SiteOption = "local",
    folder: FolderOption = None,
    manifest: ManifestOption = None,
    json: JsonOption = False,
) -> None:
    """List released files: what they are for, their licence, where they come from, whether they are here."""
    from rich.markup import escape

    from caebench.cli.inspect import size
    from caebench.cli.show import print_table
    from caebench.config.site import load_site
    from caebench.execution import assets

    where = folder or assets.folder_of(load_site(site))
    known = assets.noted(where)
    found = {name: (asset, assets.state(name, asset, where)) for name, asset in assets.read_manifest(manifest).items()}
    if json:
        facts = [{"name": name, "state": state, **asset.model_dump()} for name, (asset, state) in found.items()]
        print_json([{**fact, "noted": known.get(fact["name"])} for fact in facts])
        return
    rows = [
        [
            name,
            state,
            size(known[name]["bytes"]) if name in known else "-",
            asset.licence,
            escape(asset.purpose),
            asset.url,
        ]
        for name, (asset, state) in found.items()
    ]
    print_table(f"Assets in {where}", ["name", "state", "size", "licence", "for", "from"], rows, words=True)


def fetch(
    names: Names = None,
    every: Annotated[bool, typer.Option("--all", help="All that the manifest names.")] = False,
    site: SiteOption = "local",
    folder: FolderOption = None,
    manifest: ManifestOption = None,
    json: JsonOption = False,
) -> None:
    """Fetch released files and check them; run it where there is a network, such as on a login node.

    Exit status 1 if a file cannot be had.
    """
    if not names and not every:
        raise ValueError("assets fetch: name what to fetch, or give --all. `caebench assets list` shows the names.")
    _go_through(names or [], site, folder, manifest, json, fetched=True)


def verify(
    names: Names = None,
    site: SiteOption = "local",
    folder: FolderOption = None,
    manifest: ManifestOption = None,
    json: JsonOption = False,
) -> None:
    """Check the files that are here against the manifest and their first fetch; without names, all that are here.

    Exit status 1 if a file is wrong.
    """
    _go_through(names or [], site, folder, manifest, json, fetched=False)


def _go_through(
    names: list[str], site: str, folder: Path | None, manifest: Path | None, json: bool, fetched: bool
) -> None:
    from caebench.config.site import load_site
    from caebench.execution import assets

    where = folder or assets.folder_of(load_site(site))
    chosen = assets.choose(assets.read_manifest(manifest), names)
    if not names and not fetched:
        chosen = {name: asset for name, asset in chosen.items() if assets.state(name, asset, where) != "absent"}
    done: dict[str, Noted] = {}
    problems: dict[str, str] = {}
    for name, asset in chosen.items():
        try:
            done[name] = (assets.fetch if fetched else assets.verify)(name, asset, where)
        except assets.AssetError as error:
            problems[name] = str(error)
        if not json:
            print(problems.get(name) or _line(name, done[name], where, asset.family, bool(asset.sha256)))
    if json:
        print_json({"files": done, "problems": problems})
    elif not chosen:
        print(f"{where}: no file of the manifest is here. `caebench assets fetch NAME` brings one.")
    if problems:
        raise typer.Exit(1)


def _line(name: str, noted: "Noted", where: Path, family: str | None, known: bool) -> str:
    path = where / noted["file"]
    origin = "as the manifest says" if known else f"recorded {noted['seen']}: no source gives it"
    then = f"caebench ckpt import {path} --family {family}" if family else f'site file, [assets] {name} = "{path}"'
    return f"{name}: {path}, {noted['bytes']:,} bytes, SHA-256 {noted['sha256']} ({origin}). Next: {then}"
