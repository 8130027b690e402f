"""The job kind `released`: DALL-E's published file, read once without running anything in it, kept in our own format.

Encoders that other projects trained are jobs of kind `imported`.
"""

from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from caebench.checkpoints.dalle import read_dalle
from caebench.files.atomic import replacing
from caebench.files.hashing import sha256_of
from caebench.files.layout import TOKENIZER
from caebench.specs.inputs.tokenizer import Released
from caebench.training.run import Run


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
        with replacing(run.folder / TOKENIZER) as partial:
            save_file(model.state_dict(), partial)
    return {"num_parameters": sum(p.numel() for p in model.parameters())}
