"""Encoder, regressor, tokenizers, heads, and the files that hold them.

`load_encoder` is the public way to read a released checkpoint (docs/checkpoints.md).
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from caebench.models.released.loading import load_encoder as load_encoder

__all__ = ["load_encoder"]


def __getattr__(name: str) -> Any:
    if name == "load_encoder":  # imported when it is asked for: the package itself stays light
        from caebench.models.released.loading import load_encoder

        return load_encoder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
