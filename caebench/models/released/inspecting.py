"""What is in a checkpoint: family, sizes, precision, NaN, which names are the encoder's and which are not."""

from collections.abc import Sequence
from pathlib import Path

from caebench.config.families import Inspection
from caebench.config.pixels import Told, settle
from caebench.models.released.families import PARITY
from caebench.models.released.layout import positions_of
from caebench.models.released.loading import Parts, build, find_heads, not_finite, open_parts, precision
from caebench.models.released.pixels import told_beside
from caebench.models.released.reading import sha256_of


def inspect(
    path: Path,
    num_heads: int | None = None,
    family: str | None = None,
    pixel_stats: str | None = None,
    manifest: Sequence[Told] = (),
) -> Inspection:
    """Look through a checkpoint; what keeps its encoder from being loaded is listed, not raised.

    `manifest` is what is known of this very file's pixels from elsewhere.

    Raises:
        ValueError: the file cannot be read, or is of no family, or two sources disagree on its pixels.
    """
    parts = open_parts(path, family)
    found = not_finite({name: t for name, t in parts.table.tensors.items() if t.device.type == "cpu"})
    heads, problems = _try_out(parts, num_heads, path)
    pixels = settle([*parts.told(), *manifest, *told_beside(path)], pixel_stats, str(path))
    if bad := [name for name in found if name in parts.mapped.sources]:
        where = f"in {len(bad)} of the encoder's tensors, first in '{bad[0]}'"
        problems.insert(0, f"{path}: NaN or Inf {where}. Get the file again.")
    return {
        "path": str(path),
        "sha256": sha256_of(path),
        "bytes": path.stat().st_size,
        "format": parts.format,
        "family": parts.family.name,
        "title": parts.family.title,
        "parity": PARITY[parts.family.parity],
        "entry": parts.table.entry,
        "width": parts.dim,
        "blocks": parts.depth,
        "num_heads": heads,
        "patch_size": parts.patch_size,
        "image_size": parts.grid * parts.patch_size,
        "grid": [parts.grid, parts.grid],
        "positions": positions_of(parts.table.tensors),
        "relative_position_bias": parts.bias,
        "layer_scale": parts.has_layer_scale,
        "norm_eps": parts.norm_eps,
        "pixel_stats": pixels.stats if pixels else None,
        "pixel_source": pixels.source if pixels else "",
        "num_parameters": sum(tensor.numel() for tensor in parts.state.values()),
        "precision": list(precision(parts.mapped.state)),
        "not_finite": found,
        "encoder": parts.mapped.sources,
        "left": {**parts.mapped.left, **{f"{name}/": why for name, why in parts.table.others.items()}},
        "problems": problems,
    }


def _try_out(parts: Parts, given: int | None, path: Path) -> tuple[int | None, list[str]]:
    """The number of heads if it is known, and why the parts are no encoder."""
    problems: list[str] = []
    try:
        heads = find_heads(parts, given, path)
    except ValueError as error:
        if given is not None:
            return None, [str(error)]
        heads = None
    try:
        build(parts, heads or _any_heads(parts), path)
    except ValueError as error:
        problems.append(str(error))
    return heads, problems


def _any_heads(parts: Parts) -> int:
    """A number of heads that fits the shapes, whatever it is: the bias has a column for each."""
    tables = [t for name, t in parts.state.items() if name.startswith("relative_position_biases.") and t.ndim == 2]
    return tables[0].shape[1] if tables and parts.dim % tables[0].shape[1] == 0 else 1
