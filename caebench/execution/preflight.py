"""Checks before a run starts: data roots, the DALL-E file, imports, disk. All problems are reported at once."""

import shlex
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from caebench.execution.devices import why_no_gpu
from caebench.files.sizes import size
from caebench.specs.families import BY_NAME
from caebench.specs.inputs.dataset import OwnData, RealData
from caebench.specs.inputs.imported import Imported
from caebench.specs.inputs.tokenizer import Released
from caebench.specs.job import Job
from caebench.specs.site import Site
from caebench.specs.variants import VARIANTS
from caebench.store.store import Store


def preflight_jobs(jobs: Iterable[Job], site: Site, store: Store) -> None:
    """Check the jobs that are still to be done.

    Raises:
        ValueError: something that they need is missing; all of it is named.
    """
    jobs = list(jobs)
    problems = list(
        dict.fromkeys(
            [
                *_missing_device(jobs, site),
                *_missing_roots(jobs, site),
                *_missing_assets(jobs, site),
                *_missing_imports(jobs, store),
                *_misnamed_imports(jobs, store),
                *_full_disk(jobs, store),
            ]
        )
    )
    if problems:
        raise ValueError("\n       ".join(["this run cannot succeed here:", *problems]))


def _missing_device(jobs: list[Job], site: Site) -> Iterator[str]:
    if jobs and site.device == "cuda" and site.scheduler is None and (why := why_no_gpu()):
        yield f'site file, device = "cuda": {why}. Set device = "auto" or "cpu", or run on a machine with a GPU.'


def _missing_roots(jobs: list[Job], site: Site) -> Iterator[str]:
    for job in jobs:
        data = getattr(job.config, "data", job.config)
        for known in (data.dataset, *data.dataset.reads) if isinstance(data, RealData | OwnData) else ():
            where = f"site file, [data] {known.name}"
            if known.name not in site.roots:
                yield f"{where}: not set. Name {known.layout}, or use --scale nano. {known.source}."
            elif not site.roots[known.name].exists():
                yield f"{where} = {site.roots[known.name]}: no such folder or file. Correct the path."


def _missing_assets(jobs: list[Job], site: Site) -> Iterator[str]:
    path = site.assets.dalle_encoder
    for job in jobs:
        if isinstance(job.config, Released):
            if path is None:
                yield "site file, [assets] dalle_encoder: not set. Name the encoder.pkl of cdn.openai.com/dall-e there."
            elif not path.is_file():
                yield f"site file, [assets] dalle_encoder = {path}: no such file. Get it from cdn.openai.com/dall-e."


def _missing_imports(jobs: list[Job], store: Store) -> Iterator[str]:
    for job in jobs:
        if isinstance(config := job.config, Imported):
            heads = f" --num-heads {config.num_heads}" if config.num_heads else ""
            is_known = BY_NAME[config.family].pixels == config.pixel_stats
            pixels = "" if is_known else f" --pixel-stats {config.pixel_stats}"
            source = f"timm:{config.model} PATH" if config.model else f"PATH --family {config.family}"
            pixels += f" --activation {config.activation}" if config.activation else ""
            yield (
                f"{job.name}: not in the store. Import the file whose SHA-256 is {config.sha256}: "
                f"caebench ckpt import {source}{heads}{pixels} "
                f"--store {shlex.quote(str(store.root))}"
            )


def _misnamed_imports(jobs: list[Job], store: Store) -> Iterator[str]:
    """Imported encoders whose size is not their row's: their evaluations would have the wrong settings."""
    for encoder in (job.inputs["encoder"] for job in jobs if "encoder" in job.inputs):
        if isinstance(config := encoder.config, Imported) and (result := store.result(encoder)) is not None:
            found = {name: result["metrics"][name] for name in ("width", "blocks", "patch_size")}
            said = {"width": config.width, "blocks": config.depth, "patch_size": config.patch_size}
            if config.variant:
                said |= {"width": VARIANTS[config.variant].dim, "blocks": VARIANTS[config.variant].depth}
            said = {name: value for name, value in said.items() if value is not None}
            if wrong := [f"{name} {found[name]}, not {value}" for name, value in said.items() if found[name] != value]:
                yield (
                    f"{encoder.name}: has {' and '.join(wrong)} as its row says (variant {config.variant}, patch_size "
                    f"{config.patch_size}). Correct the row."
                )


def _full_disk(jobs: list[Job], store: Store) -> Iterator[str]:
    needed = sum(job.config.disk_bytes(job.inputs) for job in jobs)
    free = shutil.disk_usage(existing_parent(store.root)).free
    if needed > free:
        yield f"store {store.root}: {size(free)} free, {size(needed)} needed. Free some, or use --store."


def existing_parent(path: Path) -> Path:
    """The nearest existing parent folder."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path
