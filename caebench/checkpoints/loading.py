"""`load_encoder`: an encoder file as our `Encoder`, with a report on the use of every key in it."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from caebench.checkpoints.encoder_file import FileEncoder
from caebench.checkpoints.parts import TABLES, Parts, open_parts
from caebench.checkpoints.pixels import stats_from_config, usual_stats
from caebench.checkpoints.tensors import fault_of, not_finite, precision
from caebench.models.attention import RelativePositionBias, build_index
from caebench.models.vit import Encoder
from caebench.specs.architecture import ACTIVATIONS, Activation, describe
from caebench.specs.did_you_mean import suggest
from caebench.specs.family import SHARED_TABLE
from caebench.specs.pixel_stats import SourcedStats, parse_stats, settle
from caebench.specs.variants import Variant


@dataclass(frozen=True)
class Report:
    """How a file was read: the mapping of keys, and the unused keys with the reason."""

    path: str
    family: str
    title: str
    entry: str  # of the file, if it has several
    mapped: Mapping[str, str]  # theirs -> ours
    unused_keys: Mapping[str, str]  # theirs -> why; complete entries end in "/"
    variant: Variant
    image_size: int
    precision: tuple[str, ...]
    pixels: SourcedStats | None  # for normalising its images; None: unknown
    notes: tuple[str, ...] = ()
    differs: str = ""  # from a plain ViT, in words

    def __str__(self) -> str:
        dim, depth, num_heads, patch_size = self.variant
        unused = [f"{count} unused: {why}" for why, count in Counter(self.unused_keys.values()).items()]
        size = f"width {dim}, {depth} blocks, {num_heads} heads, patch {patch_size}, image {self.image_size}"
        pixels = f"pixels: {self.pixels.stats} ({self.pixels.source})" if self.pixels else "pixels: nothing says"
        parts = [f"differs from a plain ViT: {self.differs}"] if self.differs else []
        lines = [
            f"{self.path}: {self.title}; {size}",
            *parts,
            pixels,
            f"{len(self.mapped)} keys mapped",
            *unused,
            *self.notes,
        ]
        return "\n".join(lines)


class ImportedEncoder(FileEncoder):
    """An encoder with the report of the file that it was read from."""

    report: Report


def load_encoder(
    path: str | Path,
    *,
    num_heads: int | None = None,
    family: str | None = None,
    pixel_stats: str | None = None,
    activation: str | None = None,
) -> ImportedEncoder:
    """The encoder in another project's file, in eval mode and float32; its `report` says how each key is used.

    Maps images [batch, 3, height, width] to tokens [batch, tokens, dim]: class token and registers, as far as the
    encoder has them, then patches, after the final norm (CLIP's: before it, `Encoder.norm`). The family is
    auto-detected from content unless it is named. Heads, epsilon and activation are those of a hub's config next to the
    file, or the family's for this width.
    `encoder.pixel_stats` has the statistics for normalising images: None if neither the file, its family, a config next
    to it nor `pixel_stats` names them.

    Raises:
        ValueError: the file is missing, damaged, unsafe or of no (or another) family; an encoder's tensor is missing,
            unexpected, of another shape or not finite; the number of heads or the activation is neither given nor
            determined; or a config or `pixel_stats` disagrees with the file.
    """
    path = Path(path)
    parts = open_parts(path, family)
    require_finite(parts)
    encoder = build(parts, find_heads(parts, num_heads), find_activation(parts, activation))
    told = settle([*parts.stats_sources(), *stats_from_config(path)], pixel_stats, str(path))
    return with_pixels(encoder, told or usual_stats(parts.family))


def with_pixels(encoder: ImportedEncoder, pixels: SourcedStats | None) -> ImportedEncoder:
    """The encoder with its pixel statistics."""
    encoder.report = replace(encoder.report, pixels=pixels)
    encoder.pixel_stats = None if pixels is None else parse_stats(pixels.stats)
    return encoder


def build(parts: Parts, num_heads: int, activation: Activation) -> ImportedEncoder:
    """The encoder of these parts, whose keys must match exactly.

    Raises:
        ValueError: a tensor is missing, unexpected or of another shape.
    """
    variant = Variant(parts.dim, parts.depth, num_heads, parts.patch_size)
    options = {
        "layer_scale": 0.1 if parts.has_layer_scale else None,
        "positions": parts.positions,
        "relative_position_bias": parts.bias,
        "norm_eps": parts.norm_eps,
        "architecture": parts.architecture(activation),
    }
    with torch.device("meta"):  # shapes only, so that a file with wrong shapes costs no memory
        encoder = ImportedEncoder(variant, parts.grid * parts.patch_size, **options)
    state = complete(parts, encoder)
    require_fit(parts, encoder.state_dict(), state)
    encoder = encoder.to_empty(device="cpu")
    encoder.load_state_dict(state)
    for bias in cast(list[RelativePositionBias], list(encoder.relative_position_biases)):
        bias.index = build_index((bias.grid, bias.grid), bias.num_prefix)
    encoder.report = replace(make_report(parts, variant), differs=describe(encoder.architecture))
    return encoder.eval()


def require_finite(parts: Parts) -> None:
    """Check that the encoder has no NaN or Inf.

    Raises:
        ValueError: a tensor has some.
    """
    if found := not_finite({name: parts.mapped.state[ours] for name, ours in parts.mapped.sources.items()}):
        first, more = next(iter(found)), f" (and {len(found) - 1} more tensors)" if len(found) > 1 else ""
        raise ValueError(
            f"{parts.path}: '{first}'{more} has NaN or Inf. The training diverged, or the file is damaged."
        )


def find_heads(parts: Parts, given: int | None) -> int:
    """The number of heads: recorded in our own file, in a config next to it, the family's for this width, or given.

    Raises:
        ValueError: none of these, two disagree, it does not divide the width, or a bias is for another number.
    """
    record, stated = parts.table.record, parts.stated.num_heads
    derived = record.variant.num_heads if record else stated or parts.family.heads.get(parts.dim)
    columns = {parts.state[name].shape[-1] for name in parts.state if re.match(TABLES, name)}
    heads = given if given is not None else derived
    if heads is None:
        hint = f" Its bias is for {columns.pop()}." if columns else ""
        raise ValueError(
            f"{parts.path}: num_heads: {parts.family.title} has no model of width {parts.dim}, so the number of heads "
            f"is not determined.{hint} Give num_heads (--num-heads)."
        )
    if heads < 1 or parts.dim % heads or (columns and columns != {heads}):
        bias = f", or not the {columns.pop()} heads of its bias" if columns else ""
        raise ValueError(
            f"{parts.path}: num_heads {heads}: does not divide the width {parts.dim}{bias}. Give another number."
        )
    if derived is not None and given not in (None, derived):
        said, do = f"{parts.family.title} has {derived} at width {parts.dim}", "name the --family that it is of"
        if record:
            said, do = f"the file says {derived}", "give another file"
        elif stated:
            said, do = f"{parts.stated.path} says {stated}", "correct the config"
        raise ValueError(f"{parts.path}: num_heads {given}, and {said}. Leave --num-heads out, or {do}.")
    return heads


def find_activation(parts: Parts, given: str | None) -> Activation:
    """The activation of the MLPs: given, in a config next to the file, or determined by content and family.

    Raises:
        ValueError: none of these, or two disagree, or there is none of that name.
    """
    if given is not None and given not in ACTIVATIONS:
        raise ValueError(
            f"--activation '{given}': unknown.{suggest(given, ACTIVATIONS)} Known: {', '.join(ACTIVATIONS)}."
        )
    record = parts.table.record
    own = record.architecture.activation if record else parts.own_activation
    stated, config = parts.stated.activation, str(parts.stated.path)
    first = (parts.family.title, own) if stated is None else (config, stated)  # a config knows more than a family
    said: dict[str, str | None] = dict([first, ("--activation", given)])
    told = {source: value for source, value in said.items() if value is not None}
    if len(set(told.values())) > 1:
        listed = ", ".join(f"{source} says {value}" for source, value in told.items())
        raise ValueError(f"{parts.path}: activation: {listed}. Leave --activation out, or correct the config.")
    for activation in ACTIVATIONS:
        if activation in told.values():
            return activation
    raise ValueError(
        f"{parts.path}: activation: encoders of {parts.family.title} have different ones with the same keys. Put the "
        "config.json of its hub next to it, or give --activation gelu (open_clip) or quick_gelu (OpenAI)."
    )


def complete(parts: Parts, encoder: Encoder) -> dict[str, Tensor]:
    """The state, with zero positions for an encoder without positions."""
    state = dict(parts.state)
    if parts.positions == "none":
        state["pos_embed"] = torch.zeros(encoder.pos_embed.shape)
    return state


def require_fit(parts: Parts, expected: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    """Compare keys and shapes with the network's, and a stored index of the bias with ours.

    Raises:
        ValueError: one is missing, unexpected or of another shape.
    """
    theirs = {ours: name for name, ours in parts.mapped.sources.items()}
    theirs |= {"relative_position_biases.0.table": theirs[SHARED_TABLE]} if SHARED_TABLE in theirs else {}
    wrong = [f"{name}: missing" for name in expected if name not in state]
    wrong += [f"{theirs.get(name, name)}: unexpected" for name in state if name not in expected]
    for name in expected.keys() & state.keys():
        if expected[name].shape != state[name].shape:
            shapes = f"{tuple(state[name].shape)}, expected {tuple(expected[name].shape)}"
            wrong.append(f"{theirs.get(name, name)}: {shapes}")
    own = build_index((parts.grid, parts.grid)) if parts.bias != "none" else None
    for name, tensor in parts.table.tensors.items():
        if name.endswith("relative_position_index") and (own is None or not _is_same(tensor, own)):
            wrong.append(f"{name}: has the offsets in another order than this bias")
    if wrong:
        listed = "; ".join(sorted(wrong)[:6])
        raise ValueError(f"{parts.path}: read as {parts.family.title}, {len(wrong)} tensors do not fit: {listed}.")


def _is_same(index: Tensor, own: Tensor) -> bool:
    """Whether a stored index of the bias is ours."""
    if index.shape != own.shape or fault_of(index) or index.is_complex():
        return False
    return torch.equal(index.long(), own)


def make_report(parts: Parts, variant: Variant) -> Report:
    """The report on the use of every key."""
    return Report(
        path=str(parts.path),
        family=parts.family.name,
        title=parts.family.title,
        entry=parts.table.entry,
        mapped=parts.mapped.sources,
        unused_keys=parts.unused_keys,
        variant=variant,
        image_size=parts.grid * parts.patch_size,
        precision=precision(parts.mapped.state),
        pixels=None,
        notes=tuple(parts.notes),
    )
