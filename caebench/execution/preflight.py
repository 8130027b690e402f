"""What can be known to fail before a run starts: data roots, the DALL-E file, disk. All problems at once."""

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from caebench.config.data import RealData
from caebench.config.families import PIXELS
from caebench.config.method import Released
from caebench.config.site import Site
from caebench.config.stage import KNN, Imported
from caebench.config.variants import VARIANTS
from caebench.plan.cost import disk_bytes
from caebench.plan.graph import Job
from caebench.plan.store import Store


def refuse_hopeless(jobs: Iterable[Job], site: Site, store: Store) -> None:
    """Check the jobs that are still to be done.

    Raises:
        ValueError: something that they need is missing; every such thing is named.
    """
    jobs = list(jobs)
    problems = list(
        dict.fromkeys(
            [
                *_missing_roots(jobs, site),
                *_missing_extras(jobs, site),
                *_missing_assets(jobs, site),
                *_missing_imports(jobs),
                *_misnamed_imports(jobs, store),
                *_full_disk(jobs, store),
            ]
        )
    )
    if problems:
        raise ValueError("\n       ".join(["this run cannot succeed here:", *problems]))


def _missing_roots(jobs: list[Job], site: Site) -> Iterator[str]:
    for job in jobs:
        data = getattr(job.config, "data", job.config)
        if isinstance(data, RealData):
            root: Path | None = getattr(site.data, data.name)
            if root is None:
                yield f"site file, [data] {data.name}: not set. Name the folder of the data set, or use --scale nano."
            elif not root.is_dir():
                yield f"site file, [data] {data.name} = {root}: no such folder. Correct the path."


def _missing_extras(jobs: list[Job], site: Site) -> Iterator[str]:
    if not any(isinstance(job.config, KNN) and isinstance(job.config.data, RealData) for job in jobs):
        return
    for name, path in site.extras:
        if path is not None and not path.exists():
            yield f"site file, [extras] {name} = {path}: not there. Correct the path, or take the line out."


def _missing_assets(jobs: list[Job], site: Site) -> Iterator[str]:
    path = site.assets.dalle_encoder
    for job in jobs:
        if isinstance(job.config, Released):
            if path is None:
                yield "site file, [assets] dalle_encoder: not set. Name the encoder.pkl of cdn.openai.com/dall-e there."
            elif not path.is_file():
                yield f"site file, [assets] dalle_encoder = {path}: no such file. Get it from cdn.openai.com/dall-e."


def _missing_imports(jobs: list[Job]) -> Iterator[str]:
    for job in jobs:
        if isinstance(config := job.config, Imported):
            heads = f" --num-heads {config.num_heads}" if config.num_heads else ""
            is_told = PIXELS.get(config.family) == config.pixel_stats
            pixels = "" if is_told else f" --pixel-stats {config.pixel_stats}"
            yield (
                f"{job.name}: not in the store. Import the file whose SHA-256 is {config.sha256}: "
                f"caebench ckpt import PATH --family {config.family}{heads}{pixels}"
            )


def _misnamed_imports(jobs: list[Job], store: Store) -> Iterator[str]:
    """Imported encoders of another size than their row says, whose settings its evaluations would take."""
    for encoder in (job.inputs["encoder"] for job in jobs if "encoder" in job.inputs):
        if isinstance(config := encoder.config, Imported) and (result := store.result(encoder)) is not None:
            found = {name: result["metrics"][name] for name in ("width", "blocks", "patch_size")}
            named = VARIANTS[config.variant] if config.variant else None
            said = {"width": named.dim, "blocks": named.depth} if named else {}
            said["patch_size"] = config.patch_size
            if wrong := [f"{name} {found[name]}, not {value}" for name, value in said.items() if found[name] != value]:
                yield (
                    f"{encoder.name}: has {' and '.join(wrong)} as its row says (variant {config.variant}, patch_size "
                    f"{config.patch_size}). Correct the row."
                )


def _full_disk(jobs: list[Job], store: Store) -> Iterator[str]:
    needed = sum(disk_bytes(job) for job in jobs)
    free = shutil.disk_usage(existing_parent(store.root)).free
    if needed > free:
        yield f"store {store.root}: {free / 1e9:.1f} GB free, {needed / 1e9:.1f} GB needed. Free some, or use --store."


def existing_parent(path: Path) -> Path:
    """The nearest folder above that exists."""
    path = path.expanduser().absolute()
    while not path.exists():
        path = path.parent
    return path
