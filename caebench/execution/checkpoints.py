"""Encoder files for the command line: the entry to the code that reads tensors, and the job of an imported file."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from caebench.datasets.base import Roots
from caebench.datasets.registry import PUBLISHED
from caebench.execution.assets import read_manifest, stats_from_manifest
from caebench.execution.devices import visible_gpus
from caebench.execution.worker import run_job
from caebench.files.layout import ENCODER, FAILURE, JOB, RESULT
from caebench.files.result import intact
from caebench.files.visible import visible
from caebench.specs.families import BY_NAME, FAMILIES
from caebench.specs.family import Family
from caebench.specs.inputs.dataset import Data, RealData, SyntheticData
from caebench.specs.inputs.imported import Imported
from caebench.specs.job import Job, make_job
from caebench.specs.pixel_stats import SourcedStats
from caebench.specs.site import Site
from caebench.specs.variants import VARIANTS, VariantName
from caebench.store.lease import LeaseTaken
from caebench.store.state import failure_of
from caebench.store.store import Store

if TYPE_CHECKING:
    from caebench.tasks.encoder_files import Inspection as Inspection

TIMM = "timm:"  # before the name of one of timm's own networks
LABELLED = tuple(name for name, known in PUBLISHED.items() if known.labels == "class" and not known.reads)


def families() -> list[dict[str, str]]:
    """The readable families, one line per family."""
    return [
        {
            "family": f"`{family.name}`",
            "what": family.title,
            "layouts read": family.layouts,
            "pixels": _pixels(family),
            "heads by width": ", ".join(f"{dim}: {n}" for dim, n in family.heads.items()) or "in the file",
            "parity reached": family.parity_text,
            "layout read in": family.source,
        }
        for family in FAMILIES
    ]


def _pixels(family: Family) -> str:
    if family.is_own:
        return "in the file"
    usual = f"{family.usual_pixels}, unless a config says otherwise" if family.usual_pixels else "not fixed"
    return family.pixels or usual


class Given(NamedTuple):
    """The options that the user gives for a file."""

    num_heads: int | None = None
    family: str | None = None
    pixel_stats: str | None = None
    manifest: Path | None = None  # of assets; None: caebench's
    activation: str | None = None

    def manifest_of(self, path: Path) -> Callable[[str], Sequence[SourcedStats]]:
        """A function from the file's SHA-256 to the manifest's statements about its pixels."""
        entries = read_manifest(self.manifest)
        return lambda sha256: list(stats_from_manifest(path, sha256, entries))


def inspect(path: Path, given: Given) -> "Inspection":
    """See `caebench.checkpoints.inspection.inspect`."""
    from caebench.tasks.encoder_files import inspection as inspecting

    manifest = given.manifest_of(path)
    return inspecting.inspect(path, given.num_heads, given.family, given.pixel_stats, manifest, given.activation)


def import_file(path: Path, given: Given, store: Store, site: Site) -> tuple[Job, "Inspection"]:
    """A finished job of an encoder file: converted to our format, with its record. An existing one is kept.

    Raises:
        ValueError: its encoder cannot be loaded, or its heads or pixel statistics are unknown.
    """
    from caebench.tasks.encoder_files import importing, inspection

    manifest = given.manifest_of(path)
    opened = inspection.open_file(path, given.num_heads, given.family, given.pixel_stats, manifest, given.activation)
    importing.require_importable(opened.found)
    job = make_job(identify(opened.found, opened.of_family))
    if store.state(job) != "done":
        folder = store.prepare(job)
        importing.leave_encoder(opened, folder)
        finish(folder, store, site, path)
    return job, opened.found


def import_timm(name: str, path: Path | None, given: Given, store: Store, site: Site) -> tuple[Job, dict[str, Any]]:
    """A finished job of one of timm's own networks with the weights in a file; and the record of the import.

    Raises:
        ValueError: see `caebench.checkpoints.timm_files.open_timm`.
    """
    from caebench.tasks.encoder_files import timm_files

    if given.num_heads or given.family or given.activation:
        raise ValueError(f"timm:{name}: timm says heads and activation. Leave --num-heads, --family, --activation out.")
    opened = timm_files.open_timm(name, path, given.pixel_stats)
    size, record = opened.encoder.variant, opened.record
    config = Imported(
        kind="imported",
        sha256=record["sha256"],
        family=record["family"],
        pixel_stats=record["pixel_stats"],
        model=name,
        **_sizes(size.dim, size.depth),
        patch_size=size.patch_size,
    )
    job = make_job(config)
    if store.state(job) != "done":
        folder = store.prepare(job)
        timm_files.leave_timm(opened, folder)
        assert path is not None, "without a file there is no import"
        finish(folder, store, site, path)
    return job, {**record, "features": list(opened.encoder.features)}


def finish(folder: Path, store: Store, site: Site, path: Path) -> None:
    """Run the job of an import, after its encoder was written to the folder.

    Raises:
        ValueError: another process runs it, or it failed.
    """
    try:
        outcome = run_job(folder, store.root, site)
    except LeaseTaken as error:
        raise ValueError(str(error)) from error
    if outcome != "done":
        failure = failure_of(folder) if (folder / FAILURE).exists() else outcome
        raise ValueError(f"{path}: not imported: {failure}")


def export(folder: Path, to: str, output: Path | None) -> tuple[Path, list[str]]:
    """Write a finished job's encoder in another layout; returns the path, and remarks.

    Raises:
        ValueError: the job has no encoder, there is no such layout, or the output exists.
    """
    encoder = encoder_file(folder)
    from caebench.tasks.encoder_files import export as exporting

    return exporting.export_file(encoder, to, output)


def verify(folder: Path, store: Store, site: Site, data: str | None) -> list[dict[str, str]]:
    """Each check as `what`, `state` (ok, bad, skipped) and `found`.

    Raises:
        ValueError: the job has no encoder, or the data set is not available.
    """
    encoder_file(folder)
    at_hand = find_pictures(store, site, data)
    from caebench.tasks.encoder_files import verification

    pictures = verification.Pictures(*at_hand) if at_hand else None
    checks = verification.verify(folder, pictures, "cuda" if site.device != "cpu" and visible_gpus() else "cpu")
    return [dict(check._asdict()) for check in checks]


def find_pictures(store: Store, site: Site, name: str | None) -> tuple[Data, Roots] | None:
    """An available classification data set: one that the site names, or a synthetic one of a finished job.

    Raises:
        ValueError: the named one is not available.
    """
    for known in LABELLED:
        if name in (None, known) and known in site.roots and site.roots[known].is_dir():
            return RealData(kind="real", name=known), site.roots
    rendered = _rendered(store) if name in (None, "synthetic") else {}
    for data in (rendered[known] for known in LABELLED if known in rendered):
        return data[0], data[0].roots({}, {"data": data[1]})
    if name is not None:
        known = ", ".join([*LABELLED, "synthetic"])
        raise ValueError(
            f"--data '{name}': not available. Name its folder in the site file, [data]; `synthetic` needs a finished "
            f"job that rendered it. Known: {known}."
        )
    return None


def _rendered(store: Store) -> dict[str, tuple[SyntheticData, Path]]:
    """The rendered data sets of finished jobs by name, each with its folder."""
    found: dict[str, tuple[SyntheticData, Path]] = {}
    for folder in store.folders():
        if intact(folder, JOB).get("kind") == "synthetic" and store.state_at(folder) == "done":
            data = store.read_job(folder).config
            assert isinstance(data, SyntheticData), "its kind is the class's"
            found.setdefault(data.name, (data, folder))
    return found


def encoder_file(folder: Path) -> Path:
    """The encoder of a finished job.

    Raises:
        ValueError: it is not finished, or has no encoder.
    """
    path = folder / ENCODER
    if not (folder / RESULT).exists() or not path.is_file():
        raise ValueError(f"{folder}: not a finished job with an encoder. {Store(folder.parents[1]).list_hint}")
    return path


def identify(found: "Inspection", of_family: Mapping[str, Any]) -> Imported:
    """The config of a file's job; what content, family and width determine is not named."""
    heads, pixels = found["num_heads"], found["pixel_stats"]
    assert pixels is not None, "without them there is no import"
    differing: dict[str, Any] = {name: found[name] for name in of_family if found[name] != of_family[name]}
    return Imported(
        kind="imported",
        sha256=found["sha256"],
        family=found["family"],
        num_heads=None if BY_NAME[found["family"]].heads.get(found["width"]) == heads else heads,
        pixel_stats=pixels,
        **differing,
        **_sizes(found["width"], found["blocks"]),
        patch_size=found["patch_size"],
    )


def _sizes(width: int, depth: int) -> dict[str, Any]:
    """The paper's name for a size, or else the size."""
    variant = find_variant(width, depth)
    return {"width": width, "depth": depth} if variant is None else {"variant": variant}


def with_sizes(job: Job, store: Store) -> Job:
    """A job of an import with the sizes that its result says: `job.json` has no field that enters no id.

    Raises:
        ValueError: it is not finished.
    """
    result = store.result(job)
    if result is None:
        raise ValueError(f"{job.name}: not finished, so its sizes are not known. Import its file again.")
    found = result["metrics"]
    sizes = _sizes(found["width"], found["blocks"])
    return make_job(job.config.replace(**sizes, patch_size=found["patch_size"]))


def find_variant(width: int, blocks: int) -> VariantName | None:
    """The paper's name for a size; None if it has none."""
    for name, size in VARIANTS.items():
        if name.startswith("vit_") and size[:2] == (width, blocks):
            return name
    return None


def row(job: Job, label: str) -> dict[str, Any]:
    """The row of a suite that names an imported encoder."""
    config = job.config
    assert isinstance(config, Imported), "only an imported encoder has such a row"
    return {
        "label": visible(label, keep=""),
        "recipe": "imported",
        "sha256": config.sha256,
        "family": config.family,
        **({"pixel_stats": config.pixel_stats} if BY_NAME[config.family].pixels != config.pixel_stats else {}),
        **({"variant": config.variant} if config.variant else {}),
        **({"width": config.width} if config.width else {}),
        **({"depth": config.depth} if config.depth else {}),
        **({"num_heads": config.num_heads} if config.num_heads else {}),
        **({"patch_size": config.patch_size} if config.patch_size != 16 else {}),
        **({"activation": config.activation} if config.activation else {}),
        **({"norm_eps": config.norm_eps} if config.norm_eps else {}),
        **({"model": config.model} if config.model else {}),
    }
