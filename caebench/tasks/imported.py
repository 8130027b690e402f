"""Released encoders as jobs: read once, compared with their identity, kept in our own format with a record."""

import json
from pathlib import Path
from typing import Any

from caebench.config.stage import ENCODER, SOURCE, Imported
from caebench.models.checkpoint import save_encoder
from caebench.models.released.loading import load_encoder
from caebench.models.released.reading import sha256_of
from caebench.training.run import Run

MAPPING = "mapping.json"  # what became of every name of the file


def import_encoder(config: Imported, run: Run) -> dict[str, Any]:
    """Convert the file that `caebench ckpt import` has named; leaves `encoder.safetensors` and `mapping.json`.

    Raises:
        ValueError: no file is named, or it is another one than the job's, or not an encoder of its family.
    """
    source = _source(config, run)
    path = Path(source["path"])
    if (found := sha256_of(path)) != config.sha256:
        raise ValueError(f"{path}: has SHA-256 {found}, and this job is that of {config.sha256}. Give that file.")
    encoder = load_encoder(path, num_heads=config.num_heads, family=config.family, pixel_stats=config.pixel_stats)
    run.fingerprints[config.family] = found
    report = encoder.report
    if run.group.is_main:
        save_encoder(encoder, run.folder / ENCODER)
        record = {
            "source": str(path),
            "sha256": found,
            "family": report.family,
            "entry": report.entry,
            "precision": report.precision,
            "pixel_stats": config.pixel_stats,
            "pixel_source": source.get("pixel_source", "not noted"),
            "notes": report.notes,
            "mapped": report.mapped,
            "left": report.left,
        }
        (run.folder / MAPPING).write_text(json.dumps(record, indent=2), encoding="utf8")
    dim, depth, num_heads, patch_size = report.variant
    return {
        "num_parameters": sum(p.numel() for p in encoder.parameters()),
        "width": dim,
        "blocks": depth,
        "num_heads": num_heads,
        "patch_size": patch_size,
        "image_size": report.image_size,
    }


def _source(config: Imported, run: Run) -> dict[str, str]:
    """The file, and where the statistics of its pixels were learnt from."""
    path = run.folder / SOURCE
    if not path.exists():
        raise ValueError(
            f"{run.folder.name}: an imported encoder is not made by running it. Import the file whose SHA-256 is "
            f"{config.sha256}: caebench ckpt import PATH --family {config.family} "
            f"--pixel-stats {config.pixel_stats}"
        )
    return json.loads(path.read_text(encoding="utf8"))
