"""Where the reference files of official code lie: here, or in a folder of the same files at other sizes."""

import json
import os
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import Tensor

FOLDER = Path(os.environ.get("CAEBENCH_GOLDEN", Path(__file__).parent))
METHODS = FOLDER / "methods"


def read(method: str, part: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a method's file, in float32 or as they are counted, and its settings."""
    with safe_open(METHODS / f"{method}.{part}.safetensors", framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 not a dict
        settings = json.loads(file.metadata()["settings"])
    return {name: t.float() if t.dtype.itemsize == 2 else t for name, t in tensors.items()}, settings
