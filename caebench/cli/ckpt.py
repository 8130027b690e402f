"""`caebench ckpt`: encoder files, of other projects and our own."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from caebench.cli import completion
from caebench.cli.options import JsonOption, SiteOption, StoreOption, expanded, print_json, say

if TYPE_CHECKING:
    from caebench.execution.checkpoints import Inspection

CheckpointPath = Annotated[
    Path, typer.Argument(callback=expanded, help="A checkpoint: .pth, .pt, .pth.tar, .bin or .safetensors.")
]
JobId = Annotated[
    str, typer.Argument(help="The id of a job with an encoder, or a prefix of it.", autocompletion=completion.jobs)
]
FamilyOption = Annotated[
    str | None,
    typer.Option("--family", help="The family, if it is not auto-detected from content; `ckpt families` lists them."),
]
HeadsOption = Annotated[
    int | None, typer.Option("--num-heads", min=1, help="Attention heads, if family and width do not determine them.")
]
PixelsOption = Annotated[
    str | None,
    typer.Option(
        "--pixel-stats",
        metavar="STATS",
        help="Mean and deviation of the pixels that it was trained on, if no other source has them: imagenet, "
        "inception, clip or M1,M2,M3/S1,S2,S3.",
    ),
]
ActivationOption = Annotated[
    str | None,
    typer.Option(
        "--activation",
        help="Of the MLPs, if no config next to the file and no family determines it: gelu, quick_gelu or gelu_tanh.",
    ),
]
ManifestOption = Annotated[
    Path | None,
    typer.Option("--manifest", callback=expanded, help="Your own manifest of assets, which may list the file."),
]


def inspect(
    path: CheckpointPath,
    family: FamilyOption = None,
    num_heads: HeadsOption = None,
    pixel_stats: PixelsOption = None,
    activation: ActivationOption = None,
    manifest: ManifestOption = None,
    json: JsonOption = False,
) -> None:
    """Show what is in a checkpoint: family, sizes, precision, NaN, the encoder's keys and the unused ones.

    Exit status 2 if its encoder cannot be loaded.
    """
    from caebench.execution import checkpoints

    found = checkpoints.inspect(path, checkpoints.Given(num_heads, family, pixel_stats, manifest, activation))
    if json:
        print_json(dict(found))
    else:
        _print(found)
    if found["problems"]:
        raise ValueError(found["problems"][0])


def import_file(
    path: Annotated[
        Path, typer.Argument(callback=expanded, help="A checkpoint, or timm:NAME for one of timm's own networks.")
    ],
    weights: Annotated[
        Path | None, typer.Argument(callback=expanded, help="With timm:NAME: the file of its weights.")
    ] = None,
    family: FamilyOption = None,
    num_heads: HeadsOption = None,
    pixel_stats: PixelsOption = None,
    activation: ActivationOption = None,
    manifest: ManifestOption = None,
    site: SiteOption = "local",
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Convert a checkpoint's encoder into a finished job of the store.

    Prints the row that names it in a suite.
    """
    from caebench.execution import checkpoints
    from caebench.files.toml import inline
    from caebench.planning.setup import open_store
    from caebench.specs.site import load_site

    where = load_site(site)
    jobs = open_store(where, store)
    given = checkpoints.Given(num_heads, family, pixel_stats, manifest, activation)
    name = str(path).removeprefix(checkpoints.TIMM) if str(path).startswith(checkpoints.TIMM) else None
    if name is None and weights is not None:
        raise ValueError(f"{weights}: a second file. Give one checkpoint, or timm:NAME and the file of its weights.")
    if name is None:
        job, found = checkpoints.import_file(path, given, jobs, where)
    else:
        job, found = checkpoints.import_timm(name, weights, given, jobs, where)
    row = inline(checkpoints.row(job, f"{name or path.name.partition('.')[0]}, released"))
    if json:
        pixels = {name: found[name] for name in ("pixel_stats", "pixel_source")}
        print_json({"id": job.id, "name": job.name, "folder": str(jobs.folder(job)), "row": row, **pixels})
        return
    say(f"{job.name}: imported. The use of every key: {jobs.folder(job)}/mapping.json")
    say(f"Pixel statistics: {found['pixel_stats']} ({found['pixel_source']})")
    say(f"Features for probes: {_features(found)}")
    say(f"In a suite: {row}")


def export(
    job: JobId,
    to: Annotated[str, typer.Option("--to", metavar="timm|mmpretrain|official-cae|hf", help="Whose layout.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", callback=expanded, help="The file to write; for hf a folder. Default: named after the job."
        ),
    ] = None,
    site: SiteOption = "local",
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Write the encoder of a finished job in another project's layout; `ckpt import` reads it back without loss."""
    from caebench.execution import checkpoints
    from caebench.planning.setup import open_store
    from caebench.specs.site import load_site

    path, notes = checkpoints.export(open_store(load_site(site), store).find(job), to, output)
    if json:
        print_json({"path": str(path), "layout": to, "notes": notes})
    else:
        say("\n".join([f"{path}: written", *notes]))


def verify(
    job: JobId,
    data: Annotated[
        str | None, typer.Option("--data", help="A data set of the site, or `synthetic`. Default: the first available.")
    ] = None,
    site: SiteOption = "local",
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Check a job's encoder: key coverage, finite values, features, and k-NN and linear accuracy on a few images.

    Exit status 1 if a check fails.
    """
    from caebench.cli.show import coloured, print_table
    from caebench.execution import checkpoints
    from caebench.planning.setup import open_store
    from caebench.specs.site import load_site

    where = load_site(site)
    jobs = open_store(where, store)
    folder = jobs.find(job)
    checks = checkpoints.verify(folder, jobs, where, data)
    if json:
        print_json(checks)
    else:
        rows = [[check["what"], coloured(check["state"]), check["found"]] for check in checks]
        print_table(folder.name, ["check", "state", "found"], rows, words=True)
    if any(check["state"] == "bad" for check in checks):
        raise typer.Exit(1)


def families(
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table of docs/checkpoints.md.")] = False,
    json: JsonOption = False,
) -> None:
    """List the readable families: layouts, heads by width, and how closely they match their own code in tests."""
    from caebench.cli.show import print_table
    from caebench.execution import checkpoints

    rows = checkpoints.families()
    if json:
        print_json([dict(row) for row in rows])
        return
    header = list(rows[0])
    if markdown:
        lines = [header, ["---"] * len(header), *(list(row.values()) for row in rows)]
        print("\n".join(f"| {' | '.join(line)} |" for line in lines))
    else:
        print_table("Families", header, [list(row.values()) for row in rows], words=True)


def _features(found: Mapping[str, Any]) -> str:
    """The features that probes and k-NN can take, and what stands for a class token that the encoder lacks."""
    listed = ", ".join(found["features"]) or "not determined"
    is_without = found["features"] and "cls" not in found["features"]
    return f"{listed} (no class token: linear probe and k-NN take the mean of the patches)" if is_without else listed


def _print(found: "Inspection") -> None:
    from caebench.cli.show import print_table
    from caebench.specs.pixel_stats import OPTION

    pixels = found["pixel_stats"]
    heads = "not determined: give --num-heads" if found["num_heads"] is None else str(found["num_heads"])
    unused = [f"{count} x {why}" for why, count in Counter(found["unused_keys"].values()).items()]
    bad = [f"{count} in {name}" for name, count in found["not_finite"].items()]
    grid = " x ".join(str(side) for side in found["grid"])
    rows = [
        ["family", f"{found['family']} ({found['title']}); parity: {found['parity']}"],
        ["size", f"width {found['width']}, {found['blocks']} blocks, {found['num_parameters']:,} parameters"],
        ["heads", heads],
        [
            "grid",
            f"{grid} patches of {found['patch_size']}: images of {found['image_size']}",
        ],
        ["positions", found["positions"]],
        [
            "relative position bias",
            {"block": "one per block", "shared": "one for all blocks"}.get(found["relative_position_bias"], "none"),
        ],
        ["layer scale", "yes" if found["layer_scale"] else "no"],
        ["epsilon of norms", f"{found['norm_eps']:g}"],
        ["activation", found["activation"] or "not determined"],
        ["differs from a plain ViT", ", ".join(f"{n}: {v}" for n, v in found["architecture"].items()) or "no"],
        ["features for probes", _features(found)],
        ["pixels", f"{pixels} ({found['pixel_source']})" if pixels else f"not determined: give {OPTION}"],
        ["encoder", f"{len(found['encoder'])} tensors" + (f" in entry '{found['entry']}'" if found["entry"] else "")],
        ["wrappers", f"{', '.join(found['wrappers'])} (removed from the names)" if found["wrappers"] else "none"],
        ["unused keys", "; ".join(unused) or "none"],
        ["precision", ", ".join(found["precision"])],
        ["NaN or Inf", "; ".join(bad[:5]) or "none"],
        ["file", f"{found['format']}, {found['bytes']:,} bytes"],
        ["sha256", found["sha256"]],
    ]
    print_table(found["path"], ["what", "found"], rows, words=True)
