"""The result of a measurement: one JSON document, with its device and versions."""

import json
import platform
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from caebench.execution.provenance import commit, installed
from caebench.files.atomic import write_text

VERSION = 1  # of the document's format
PACKAGES = ("torch", "torchvision", "timm", "numpy", "pillow", "pydantic")


def document(what: str, device: str, settings: Mapping[str, object], results: Mapping[str, Any]) -> dict[str, Any]:
    """A measurement with its device, versions and date."""
    return {
        "version": VERSION,
        "bench": what,
        "device": device,
        "on_cpu": device.startswith("CPU"),
        "measured": datetime.now(UTC).date().isoformat(),
        "commit": commit(),
        "python": platform.python_version(),
        "packages": {name: installed(name) for name in PACKAGES},
        "settings": dict(settings),
        "results": dict(results),
    }


def save(found: Mapping[str, Any], folder: Path) -> Path:
    """Write a document under a name that contains benchmark, settings and device."""
    settings = found["settings"]
    parts = [found["bench"], *(str(settings[name]) for name in ("variant", "batch", "scale") if name in settings)]
    path = folder / f"{'-'.join(parts)}-{re.sub(r'[^a-z0-9]+', '-', found['device'].lower()).strip('-')}.json"
    folder.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(found, indent=1) + "\n")
    return path
