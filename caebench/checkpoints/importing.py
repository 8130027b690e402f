"""Import: write our own encoder file, and a record of the use of every key, to the folder of a job.

The job (`tasks/imported.py`) reads both and never opens the original file. That was opened, mapped, built and hashed
once, before there was a job, because the job's identity is the file's.
"""

import os
from pathlib import Path
from typing import Any

from caebench.checkpoints.encoder_file import save_encoder
from caebench.checkpoints.inspection import Inspection, Opened
from caebench.files.atomic import read_json, write_json
from caebench.files.forms import MappingForm, misfit
from caebench.files.layout import ENCODER, MAPPING
from caebench.specs.pixel_stats import OPTION


def require_importable(found: Inspection) -> None:
    """Check that a file's encoder can be loaded, and that everything about it is known.

    Raises:
        ValueError: there are problems, or its heads or pixel statistics are unknown.
    """
    if found["problems"]:
        raise ValueError(found["problems"][0])
    if found["num_heads"] is None:
        raise ValueError(
            f"{found['path']}: num_heads: {found['title']} has no model of width {found['width']}, so the number of "
            "heads is not determined. Give --num-heads."
        )
    if found["pixel_stats"] is None:
        raise ValueError(
            f"{found['path']}: the statistics of its pixels: encoders of {found['title']} have different ones, and "
            f"neither the manifest of assets nor a config next to the file names them. Give {OPTION}."
        )


def leave_encoder(opened: Opened, folder: Path) -> None:
    """Write the encoder of an importable file, and the record of its keys, into a job's folder."""
    found, encoder = opened.found, opened.encoder
    assert encoder is not None, "without it there is no import"
    save_encoder(encoder, folder / ENCODER)
    same = ("sha256", "family", "entry", "precision", "pixel_stats", "pixel_source", "unused_keys")
    record = {
        "source": str(Path(found["path"]).absolute()),
        **{name: found[name] for name in same},
        "notes": encoder.report.notes,
        "mapped": found["encoder"],
    }
    write_json(folder / MAPPING, record)


def read_record(folder: Path) -> dict[str, Any] | None:
    """The use of every key of the file that a job was imported from; None for a job that was trained here.

    Raises:
        ValueError: the record is damaged.
    """
    if not os.path.lexists(folder / MAPPING):
        return None
    do = "Delete the job's folder and import the file again"
    record = read_json(folder / MAPPING, do)
    if wrong := misfit(MappingForm, record):
        raise ValueError(f"{folder / MAPPING}: damaged ({wrong}). {do}.")
    return {"unused_keys": record.pop("left", {}), **record}  # `left`: in older records
