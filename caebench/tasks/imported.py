"""Imported encoders as jobs: `caebench ckpt import` has left our own file and a record; the job says what they are.

The other project's file is not read here: it was opened once, before the job had a name (`checkpoints/importing.py`).
"""

from typing import Any

from caebench.checkpoints.encoder_file import read_encoder, stats_of
from caebench.checkpoints.importing import read_record
from caebench.files.layout import ENCODER
from caebench.specs.inputs.imported import Imported
from caebench.specs.pixel_stats import name_of
from caebench.training.run import Run


def import_encoder(config: Imported, run: Run) -> dict[str, Any]:
    """The sizes of the encoder that an import has left, and its file's SHA-256 as a fingerprint.

    Raises:
        ValueError: no import has left one, it is damaged, or it is another than the job's.
    """
    record = read_record(run.folder)
    source = f"timm:{config.model} PATH" if config.model else f"PATH --family {config.family}"
    if record is None:
        raise ValueError(
            f"{run.folder.name}: an imported encoder is not made by running it. Import the file whose SHA-256 is "
            f"{config.sha256}: caebench ckpt import {source} "
            f"--pixel-stats {config.pixel_stats}"
        )
    encoder = read_encoder(run.folder / ENCODER)
    found = {"sha256": record["sha256"], "family": record["family"], "pixel_stats": name_of(stats_of(encoder))}
    found["model"] = record.get("model")
    for name, value in found.items():
        if value != (expected := getattr(config, name)):
            raise ValueError(f"{run.folder.name}: {name} {value}, and this job is that of {expected}. Import it again.")
    if config.activation not in (None, found_activation := encoder.architecture.activation):
        raise ValueError(
            f"{run.folder.name}: activation {found_activation}, and this job is that of {config.activation}. "
            "Import it again."
        )
    run.fingerprints[config.family] = config.sha256
    dim, depth, num_heads, patch_size = encoder.variant
    return {
        "num_parameters": sum(p.numel() for p in encoder.parameters()),
        "width": dim,
        "blocks": depth,
        "num_heads": num_heads,
        "patch_size": patch_size,
        "image_size": encoder.image_size,
    }
