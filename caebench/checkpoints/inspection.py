"""What is in a checkpoint: family, sizes, precision, NaN, which keys are the encoder's and which are unused.

`open_file` opens, maps, builds and hashes a file once. `ckpt import` continues with its result (`importing`), so a file
of several gigabytes is not read twice.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

from caebench.checkpoints.loading import ImportedEncoder, build, find_activation, find_heads, with_pixels
from caebench.checkpoints.mapping import positions_of
from caebench.checkpoints.parts import Parts, open_parts
from caebench.checkpoints.pixels import stats_from_config, usual_stats
from caebench.checkpoints.tensors import not_finite, precision
from caebench.files.hashing import sha256_of
from caebench.specs.architecture import to_dict
from caebench.specs.pixel_stats import SourcedStats, settle

Manifest = Callable[[str], Sequence[SourcedStats]]  # from a SHA-256 to the pixel statistics in a manifest


class Inspection(TypedDict):
    """A checkpoint in plain values."""

    path: str
    sha256: str
    bytes: int
    format: str
    family: str
    title: str
    parity: str  # how far agreement with the family's own code was tested
    entry: str  # of the file that has the tensors
    wrappers: list[str]  # removed from the names, such as `module.`
    width: int
    blocks: int
    num_heads: int | None  # None: not determined by family and width, nor given
    patch_size: int
    image_size: int
    grid: list[int]
    positions: str
    relative_position_bias: str
    layer_scale: bool
    norm_eps: float
    activation: str | None  # None: not determined, nor given
    architecture: dict[str, Any]  # in which fields it differs from a plain ViT
    features: list[str]  # that probes and k-NN can take; empty if the encoder cannot be loaded
    pixel_stats: str | None  # None: no source has them
    pixel_source: str
    num_parameters: int
    precision: list[str]
    not_finite: dict[str, int]  # name -> number of NaN and Inf
    encoder: dict[str, str]  # their keys -> ours
    unused_keys: dict[str, str]  # their keys -> why
    problems: list[str]  # why the encoder cannot be loaded


class Opened(NamedTuple):
    """An opened file: its inspection, and its encoder."""

    found: Inspection
    encoder: ImportedEncoder | None  # None: there are problems, or the number of heads is unknown
    of_family: dict[str, Any]  # activation and epsilon as content and family alone determine them


def nothing_known(sha256: str) -> Sequence[SourcedStats]:
    """An empty manifest."""
    return ()


def inspect(
    path: Path,
    num_heads: int | None = None,
    family: str | None = None,
    pixel_stats: str | None = None,
    manifest: Manifest = nothing_known,
    activation: str | None = None,
) -> Inspection:
    """Inspect a checkpoint; problems that prevent loading its encoder are listed, not raised.

    Raises:
        ValueError: the file cannot be read, or no family fits, or two sources disagree on its pixels.
    """
    return open_file(path, num_heads, family, pixel_stats, manifest, activation).found


def open_file(
    path: Path,
    num_heads: int | None = None,
    family: str | None = None,
    pixel_stats: str | None = None,
    manifest: Manifest = nothing_known,
    activation: str | None = None,
) -> Opened:
    """Open a checkpoint, inspect it, and build its encoder.

    Raises:
        ValueError: see `inspect`.
    """
    sha256 = sha256_of(path)
    parts = open_parts(path, family)
    bad = not_finite(parts.table.tensors)
    heads, encoder, problems = _try_out(parts, num_heads, activation)
    told = settle([*parts.stats_sources(), *manifest(sha256), *stats_from_config(path)], pixel_stats, str(path))
    pixels = told or usual_stats(parts.family)
    if worst := [name for name in bad if name in parts.mapped.sources]:
        where = f"in {len(worst)} of the encoder's tensors, first in '{worst[0]}'"
        problems.insert(0, f"{path}: NaN or Inf {where}. Get the file again.")
    found = _describe(parts, sha256, heads, pixels, bad, problems)
    if encoder is not None:
        found["architecture"] = to_dict(encoder.architecture)
        found["features"] = list(encoder.features)
        found["activation"] = encoder.architecture.activation
    loaded = None if encoder is None or problems else with_pixels(encoder, pixels)
    return Opened(found, loaded, parts.of_family)


def _try_out(
    parts: Parts, given: int | None, activation: str | None
) -> tuple[int | None, ImportedEncoder | None, list[str]]:
    """The number of heads if known, the encoder with it, and the problems."""
    try:
        heads = find_heads(parts, given)
    except ValueError as error:
        if given is not None:
            return None, None, [str(error)]
        heads = None
    try:
        encoder = build(parts, heads or _any_heads(parts), find_activation(parts, activation))
    except ValueError as error:
        return heads, None, [str(error)]
    return heads, None if heads is None else encoder, []


def _any_heads(parts: Parts) -> int:
    """Any number of heads that fits the shapes: a bias has one column per head."""
    tables = [t for name, t in parts.state.items() if name.startswith("relative_position_biases.") and t.ndim == 2]
    return tables[0].shape[1] if tables and parts.dim % tables[0].shape[1] == 0 else 1


def _describe(
    parts: Parts, sha256: str, heads: int | None, pixels: SourcedStats | None, bad: dict[str, int], problems: list[str]
) -> Inspection:
    """The inspection in plain values."""
    return {
        "path": str(parts.path),
        "sha256": sha256,
        "bytes": parts.path.stat().st_size,
        "format": parts.format,
        "family": parts.family.name,
        "title": parts.family.title,
        "parity": parts.parity,
        "entry": parts.table.entry,
        "wrappers": list(parts.table.wrappers),
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
        "activation": None,
        "architecture": {},
        "features": [],
        "pixel_stats": pixels.stats if pixels else None,
        "pixel_source": pixels.source if pixels else "",
        "num_parameters": sum(tensor.numel() for tensor in parts.state.values()),
        "precision": list(precision(parts.mapped.state)),
        "not_finite": bad,
        "encoder": parts.mapped.sources,
        "unused_keys": parts.unused_keys,
        "problems": problems,
    }
