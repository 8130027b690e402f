"""Released files as jobs: read once, without running anything in them, and kept in our own format."""

from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from caebench.config.method import Released
from caebench.models.dalle_file import read_dalle
from caebench.models.released.reading import sha256_of
from caebench.training.run import Run

WEIGHTS = "tokenizer.safetensors"


def read_released(config: Released, run: Run) -> dict[str, Any]:
    """Check the user's file and convert it; notes its SHA-256 as a fingerprint.

    Raises:
        ValueError: the site names no file, or it is not what was released.
    """
    path: Path | None = getattr(run.site.assets, config.name)
    model = read_dalle(path)
    assert path is not None, "read_dalle refuses a site without the file"
    run.fingerprints[config.name] = sha256_of(path)
    if run.group.is_main:
        save_file(model.state_dict(), run.folder / WEIGHTS)
    return {"num_parameters": sum(p.numel() for p in model.parameters())}
