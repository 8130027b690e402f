"""What a number was made with: commit, versions, machine. Read once a job, stored beside its result."""

import json
import platform
import socket
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    *("caebench", "torch", "torchvision", "timm", "numpy", "pillow", "scikit-image", "scikit-learn", "pycocotools"),
    *("onedl-mmengine", "onedl-mmcv", "onedl-mmsegmentation", "onedl-mmdetection"),
)
REPOSITORY = Path(__file__).parents[2]
MARKER = "snapshot.json"  # in a snapshot: the commit that it is of
CODE = ("caebench", "suites", "pyproject.toml", "requirements.lock")  # what a dirty tree is judged by: not results/


def collect() -> dict[str, Any]:
    """Provenance of work done now, in this process."""
    return {
        **_code(),
        "host": socket.gethostname(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: installed(name) for name in PACKAGES},
    }


def _code() -> dict[str, Any]:
    """The commit, and whether it was changed: of a snapshot what is written there, of a checkout what git says."""
    snapshot = REPOSITORY / MARKER
    if snapshot.exists():
        return json.loads(snapshot.read_text(encoding="utf8"))
    return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain", "--", *CODE))}


def git(*arguments: str) -> str | None:
    """Git's answer about this checkout; None outside of one."""
    try:
        run = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return run.stdout.strip()


def installed(name: str) -> str | None:
    """A package's version; None where it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
