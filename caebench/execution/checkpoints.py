"""Released checkpoints, for the command line: the door to the half that reads tensors, and what is stored of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from caebench.config.data import Data, DatasetName, EmbeddedData, RealData
from caebench.config.families import HEADS, PIXELS, FamilyName, Inspection, Layout
from caebench.config.names import suggest
from caebench.config.pixels import OPTION
from caebench.config.site import Site
from caebench.config.stage import ENCODER, RESULT, SOURCE, Imported
from caebench.config.variants import VARIANTS, VariantName
from caebench.execution.assets import read_manifest, told_of
from caebench.execution.devices import visible_gpus
from caebench.execution.worker import run_job
from caebench.models.released.families import FAMILIES, PARITY
from caebench.plan.files import read_json, write_json
from caebench.plan.graph import Job, make_job
from caebench.plan.lease import Held
from caebench.plan.store import FAILURE, JOB, Store

LABELLED: tuple[DatasetName, ...] = ("imagenet1k", "food101", "clipart", "sketch")
SUFFIXES: Mapping[Layout, str] = {"timm": ".safetensors", "mmpretrain": ".pth", "official-cae": ".pth", "hf": ""}


def families() -> list[dict[str, str]]:
    """What is read, a line a family."""
    return [
        {
            "family": f"`{family.name}`",
            "what": family.title,
            "layouts read": family.layouts,
            "pixels": PIXELS.get(family.name, "not fixed") if family.name != "caebench" else "in the file",
            "heads by width": ", ".join(f"{dim}: {n}" for dim, n in HEADS[family.name].items()) or "in the file",
            "parity reached": PARITY[family.parity],
            "layout read in": family.source,
        }
        for family in FAMILIES
    ]


class Given(NamedTuple):
    """What the user says of a file."""

    num_heads: int | None = None
    family: str | None = None
    pixel_stats: str | None = None
    manifest: Path | None = None  # of assets; None: caebench's


def inspect(path: Path, given: Given) -> Inspection:
    """See `caebench.models.released.inspecting.inspect`."""
    from caebench.models.released import inspecting

    told = list(told_of(path, read_manifest(given.manifest))) if path.is_file() else []
    return inspecting.inspect(path, given.num_heads, given.family, given.pixel_stats, told)


def import_file(path: Path, given: Given, store: Store, site: Site) -> tuple[Job, Inspection]:
    """A finished job of a released file: converted to our format, with its record. One that is there stays.

    Raises:
        ValueError: its encoder cannot be loaded, or its heads or the statistics of its pixels are not known.
    """
    found = inspect(path, given)
    if found["problems"]:
        raise ValueError(found["problems"][0])
    if found["num_heads"] is None:
        raise ValueError(
            f"{path}: num_heads: {found['title']} has no model of width {found['width']}, so the number of heads is "
            "not determined. Give --num-heads."
        )
    if found["pixel_stats"] is None:
        raise ValueError(
            f"{path}: the statistics of its pixels: {found['title']} has encoders of different ones, and neither the "
            f"manifest of assets nor a config beside the file says which. Give {OPTION}."
        )
    job = make_job(identify(found))
    if store.state(job) != "done":
        folder = store.prepare(job)
        write_json(folder / SOURCE, {"path": str(path.absolute()), "pixel_source": found["pixel_source"]})
        try:
            outcome = run_job(folder, store.root, site)
        except Held as error:
            raise ValueError(str(error)) from error
        if outcome != "done":
            failure = read_json(folder / FAILURE)["error"] if (folder / FAILURE).exists() else outcome
            raise ValueError(f"{path}: not imported: {failure}")
    return job, found


def export(folder: Path, to: str, output: Path | None) -> tuple[Path, list[str]]:
    """Write a finished job's encoder in another layout; returns where, and what is worth knowing.

    Raises:
        ValueError: the job left no encoder, there is no such layout, or the output exists.
    """
    layout = find_layout(to)
    encoder = encoder_file(folder)
    from caebench.models.checkpoint import read_encoder
    from caebench.models.released import exporting

    path = output or Path(f"{folder.name}-{layout}{SUFFIXES[layout]}")
    return path, exporting.export(read_encoder(encoder), layout, path)


def verify(folder: Path, store: Store, site: Site, data: str | None) -> list[dict[str, str]]:
    """Each check as `what`, `state` (ok, bad, skipped) and `found`.

    Raises:
        ValueError: the job left no encoder, or the data set is not at hand.
    """
    encoder_file(folder)
    at_hand = find_pictures(store, site, data)
    from caebench.tasks import verification

    pictures = verification.Pictures(at_hand[0], site.data, at_hand[1]) if at_hand else None
    checks = verification.verify(folder, pictures, "cuda" if site.device != "cpu" and visible_gpus() else "cpu")
    return [dict(check._asdict()) for check in checks]


def find_pictures(store: Store, site: Site, name: str | None) -> tuple[Data, Path | None] | None:
    """A classification data set at hand: one that the site names, or the embedded one of a finished job.

    Raises:
        ValueError: the named one is not at hand.
    """
    for known in LABELLED:
        root: Path | None = getattr(site.data, known)
        if name in (None, known) and root is not None and root.is_dir():
            return RealData(kind="real", name=known), None
    rendered = [(read_json(folder / JOB)["config"], folder) for folder in store.folders() if (folder / RESULT).exists()]
    for known in LABELLED if name in (None, "embedded") else ():
        for config, folder in rendered:
            if (config["kind"], config.get("name")) == ("embedded", known):
                return EmbeddedData.model_validate(config), folder
    if name is not None:
        known = ", ".join([*LABELLED, "embedded"])
        raise ValueError(
            f"--data '{name}': not at hand. Name its folder in the site file, [data]; `embedded` needs a finished job "
            f"that rendered it. Known: {known}."
        )
    return None


def encoder_file(folder: Path) -> Path:
    """The encoder of a finished job.

    Raises:
        ValueError: it is not finished, or leaves no encoder.
    """
    path = folder / ENCODER
    if not (folder / RESULT).exists() or not path.exists():
        raise ValueError(f"{folder}: not a finished job that leaves an encoder. `caebench status` lists jobs.")
    return path


def find_layout(name: str) -> Layout:
    """A layout by name.

    Raises:
        ValueError: there is none.
    """
    for known in SUFFIXES:
        if known == name:
            return known
    raise ValueError(f"--to '{name}': unknown.{suggest(name, SUFFIXES)} Known: {', '.join(SUFFIXES)}.")


def identify(found: Inspection) -> Imported:
    """The config of a file's job; heads are named only where family and width do not tell them."""
    family: FamilyName = found["family"]
    heads, pixels = found["num_heads"], found["pixel_stats"]
    assert pixels is not None, "an import is refused without them"
    return Imported(
        kind="imported",
        sha256=found["sha256"],
        family=family,
        num_heads=None if HEADS[family].get(found["width"]) == heads else heads,
        pixel_stats=pixels,
        variant=find_variant(found["width"], found["blocks"]),
        patch_size=found["patch_size"],
    )


def find_variant(width: int, blocks: int) -> VariantName | None:
    """The paper's name for a size; None where it has none."""
    for name, size in VARIANTS.items():
        if name.startswith("vit_") and size[:2] == (width, blocks):
            return name
    return None


def row(job: Job, label: str) -> str:
    """The row of a suite that names an imported encoder."""
    config = job.config
    assert isinstance(config, Imported), "only imported encoders are named so"
    fields = {
        "label": f'"{label}"',
        "recipe": '"imported"',
        "sha256": f'"{config.sha256}"',
        "family": f'"{config.family}"',
        **({"pixel_stats": f'"{config.pixel_stats}"'} if PIXELS.get(config.family) != config.pixel_stats else {}),
        **({"variant": f'"{config.variant}"'} if config.variant else {}),
        **({"num_heads": str(config.num_heads)} if config.num_heads else {}),
        **({"patch_size": str(config.patch_size)} if config.patch_size != 16 else {}),
    }
    return "{ " + ", ".join(f"{name} = {value}" for name, value in fields.items()) + " }"
