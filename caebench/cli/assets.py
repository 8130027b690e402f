"""`caebench assets`: released files that suites name."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from caebench.cli.options import JsonOption, SiteOption, command, expanded, print_json, say

if TYPE_CHECKING:
    from caebench.execution.assets import Noted

Names = Annotated[list[str] | None, typer.Argument(help="Names in the manifest; `assets list` shows them.")]
FolderOption = Annotated[
    Path | None,
    typer.Option("--folder", callback=expanded, help="The folder of the files. Default: the site's \\[assets] folder."),
]
ManifestOption = Annotated[
    Path | None,
    typer.Option("--manifest", callback=expanded, help="Your own manifest, in the format of caebench/assets.toml."),
]


def list_assets(
    site: SiteOption = "local",
    folder: FolderOption = None,
    manifest: ManifestOption = None,
    json: JsonOption = False,
) -> None:
    """List released files: purpose, licence, source, and whether they are present."""
    from caebench.cli.show import print_table
    from caebench.execution import assets
    from caebench.files.sizes import size
    from caebench.specs.site import load_site

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
            asset.purpose,
            asset.url,
        ]
        for name, (asset, state) in found.items()
    ]
    print_table(f"Assets in {where}", ["name", "state", "size", "licence", "for", "from"], rows, words=True)


def fetch(
    names: Names = None,
    every: Annotated[bool, typer.Option("--all", help="All files of the manifest.")] = False,
    site: SiteOption = "local",
    folder: FolderOption = None,
    manifest: ManifestOption = None,
    json: JsonOption = False,
) -> None:
    """Fetch released files and check them. Run this on a machine with a network, such as a login node.

    Exit status 1 if a file cannot be fetched.
    """
    if not names and not every:
        known = command("assets", "list", site=site)
        raise ValueError(f"assets fetch: name what to fetch, or give --all. `{known}` shows the names.")
    _go_through(names or [], site, folder, manifest, json, fetched=True)


def verify(
    names: Names = None,
    site: SiteOption = "local",
    folder: FolderOption = None,
    manifest: ManifestOption = None,
    json: JsonOption = False,
) -> None:
    """Check files against the manifest and their first fetch; without names, all files that are present.

    Exit status 1 if a file is wrong.
    """
    _go_through(names or [], site, folder, manifest, json, fetched=False)


def _go_through(
    names: list[str], site: str, folder: Path | None, manifest: Path | None, json: bool, fetched: bool
) -> None:
    from caebench.execution import assets
    from caebench.specs.site import load_site

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
            say(problems.get(name) or _line(name, done[name], where, asset.family, bool(asset.sha256)))
    if json:
        print_json({"files": done, "problems": problems})
    elif not chosen:
        say(f"{where}: no file of the manifest is present. Fetch one: {command('assets', 'fetch', 'NAME', site=site)}")
    if problems:
        raise typer.Exit(1)


def _line(name: str, noted: "Noted", where: Path, family: str | None, known: bool) -> str:
    path = where / noted["file"]
    origin = "as in the manifest" if known else f"recorded {noted['seen']}: no source publishes it"
    then = f"caebench ckpt import {path} --family {family}" if family else f'site file, [assets] {name} = "{path}"'
    return f"{name}: {path}, {noted['bytes']:,} bytes, SHA-256 {noted['sha256']} ({origin}). Next: {then}"
