"""Encoder files, our own and those of other projects: read, map, inspect, import, verify, export.

Each family is a row of `caebench.specs.families`. `load_encoder` is the public function for reading another project's
file (docs/checkpoints.md).
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from caebench.checkpoints.loading import load_encoder as load_encoder

__all__ = ["load_encoder"]


def __getattr__(name: str) -> Any:
    if name == "load_encoder":  # imported on first use, so that importing the package is cheap
        from caebench.checkpoints.loading import load_encoder

        return load_encoder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
