"""`load_encoder`: a released checkpoint as an encoder of ours, with a report of what became of every name in it."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from caebench.config.families import HEADS, FamilyName
from caebench.config.pixels import Told, parse_stats, settle
from caebench.config.variants import Variant
from caebench.models.attention import RelativePositionBias, build_index
from caebench.models.checkpoint import FileEncoder
from caebench.models.released.families import SHARED_TABLE, Family
from caebench.models.released.fusing import fuse
from caebench.models.released.layout import Mapped, Table, choose, grid_of_positions, map_names, positions_of, unwrap
from caebench.models.released.pixels import told_beside, told_by_family
from caebench.models.released.reading import Format, read
from caebench.models.vit import Bias, Encoder, Positions

TABLES = r"^relative_position_biases\.(\d+)\.table$"
BLOCKS = r"^blocks\.(\d+)\."


@dataclass(frozen=True)
class Report:
    """What a file was read as: which name is which of ours, what was left and why."""

    path: str
    family: FamilyName
    title: str
    entry: str  # of the file, where it has several
    mapped: Mapping[str, str]  # theirs -> ours
    left: Mapping[str, str]  # theirs -> why; whole entries end in "/"
    variant: Variant
    image_size: int
    precision: tuple[str, ...]
    pixels: Told | None  # what its images are normalised by; None: nothing says it
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        dim, depth, num_heads, patch_size = self.variant
        reasons = dict.fromkeys(self.left.values())
        counts = [f"{sum(why == reason for why in self.left.values())} left: {reason}" for reason in reasons]
        size = f"width {dim}, {depth} blocks, {num_heads} heads, patch {patch_size}, image {self.image_size}"
        pixels = f"pixels: {self.pixels.stats} ({self.pixels.source})" if self.pixels else "pixels: nothing says"
        lines = [f"{self.path}: {self.title}; {size}", pixels, f"{len(self.mapped)} names mapped", *counts, *self.notes]
        return "\n".join(lines)


class ReleasedEncoder(FileEncoder):
    """An encoder with the report of the file that it was read from."""

    report: Report


@dataclass
class Parts:
    """What an encoder is made of: its tensors under our names, and what their shapes say."""

    family: Family
    table: Table
    mapped: Mapped
    state: dict[str, Tensor]
    positions: Positions
    bias: Bias
    grid: int
    format: Format
    notes: list[str] = field(default_factory=list)

    @property
    def dim(self) -> int:
        """Width."""
        return self.state["patch_embed.weight"].shape[0]

    @property
    def patch_size(self) -> int:
        """Pixels along a patch."""
        return self.state["patch_embed.weight"].shape[-1]

    @property
    def depth(self) -> int:
        """Blocks."""
        return len(numbers(self.state, BLOCKS))

    @property
    def has_layer_scale(self) -> bool:
        """Whether the first block's branches are scaled."""
        return "blocks.0.ls1.gamma" in self.state

    @property
    def norm_eps(self) -> float:
        """The epsilon of the family's layer norms, or the one that a file of ours has noted."""
        return self.table.record.norm_eps if self.table.record else self.family.norm_eps

    def told(self) -> list[Told]:
        """What the file says of its pixels, or lacking that its family."""
        return [self.table.told] if self.table.told else list(told_by_family(self.family.name, self.family.title))


def load_encoder(
    path: str | Path,
    *,
    num_heads: int | None = None,
    family: FamilyName | str | None = None,
    pixel_stats: str | None = None,
) -> ReleasedEncoder:
    """The encoder in a released checkpoint, in eval mode and float32; `encoder.report` says what became of each name.

    Maps images [batch, 3, height, width] to tokens [batch, 1 + patches, dim], class token first, after the final norm.
    The family is told by content unless it is named. The number of heads is the one that the family gives this width.
    What its images are normalised by is `encoder.pixel_stats`: None where neither the file, its family, a config beside
    it nor `pixel_stats` says it.

    Raises:
        ValueError: the file is missing, damaged, unsafe or of no (or another) family; an encoder's tensor is missing,
            left over, of another shape or not finite; the number of heads is not given and not determined; or
            `pixel_stats` says otherwise than the file.
    """
    path = Path(path)
    parts = open_parts(path, family)
    require_finite(parts, path)
    encoder = build(parts, find_heads(parts, num_heads, path), path)
    pixels = settle([*parts.told(), *told_beside(path)], pixel_stats, str(path))
    encoder.report = replace(encoder.report, pixels=pixels)
    encoder.pixel_stats = None if pixels is None else parse_stats(pixels.stats)
    return encoder


def build(parts: Parts, num_heads: int, path: Path) -> ReleasedEncoder:
    """The encoder of these parts, which must fit it name by name.

    Raises:
        ValueError: a tensor is missing, left over or of another shape.
    """
    variant = Variant(parts.dim, parts.depth, num_heads, parts.patch_size)
    options = {
        "layer_scale": 0.1 if parts.has_layer_scale else None,
        "positions": parts.positions,
        "relative_position_bias": parts.bias,
        "norm_eps": parts.norm_eps,
    }
    with torch.device("meta"):  # shapes only, so that a file with odd shapes costs no memory
        encoder = ReleasedEncoder(variant, parts.grid * parts.patch_size, **options)
    state = complete(parts, encoder)
    refuse_misfits(path, parts, encoder.state_dict(), state)
    encoder = encoder.to_empty(device="cpu")
    encoder.load_state_dict(state)
    for bias in cast(list[RelativePositionBias], list(encoder.relative_position_biases)):
        bias.index = build_index((bias.grid, bias.grid))
    encoder.report = make_report(path, parts, variant)
    return encoder.eval()


def open_parts(path: Path, family: FamilyName | str | None = None) -> Parts:
    """A file's encoder under our names, not yet compared with the network, nor looked through for NaN.

    Raises:
        ValueError: see `load_encoder`.
    """
    content = read(path)
    table = unwrap(content)
    found = choose(table, content, family)
    mapped = map_names(table, found, path)
    require_plain(mapped, path)
    state = fuse({name: tensor.float() for name, tensor in mapped.state.items()})
    if missing := [name for name in ("patch_embed.weight", "cls_token", "norm.weight") if name not in state]:
        raise ValueError(f"{path}: read as {found.title}, but it has no {', '.join(missing)}. The file is not whole.")
    kernel = state["patch_embed.weight"]
    if kernel.ndim != 4 or kernel.shape[1] != 3 or kernel.shape[2] != kernel.shape[3]:
        raise ValueError(f"{path}: patch embedding {tuple(kernel.shape)}, expected (dim, 3, patch, patch).")
    if (blocks := numbers(state, BLOCKS)) != list(range(len(blocks))) or not blocks:
        raise ValueError(f"{path}: blocks {blocks[:12]}: some are missing. The file is not whole.")
    if table.record and table.record.is_shared and "relative_position_biases.0.table" in state:
        state[SHARED_TABLE] = state.pop("relative_position_biases.0.table")
    grid, positions, bias = grid_and_positions(state, path)
    return Parts(found, table, mapped, state, positions, bias, grid, content.format)


def require_plain(mapped: Mapped, path: Path) -> None:
    """Refuse tensors that are not dense, whole and of floating-point numbers.

    Raises:
        ValueError: one is not.
    """
    for name, ours in mapped.sources.items():
        tensor = mapped.state[ours]
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
            raise ValueError(f"{path}: '{name}' is no dense tensor. Give a checkpoint of plain tensors.")
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise ValueError(f"{path}: '{name}' claims more numbers than the file holds. Do not use it.")
        if not tensor.is_floating_point():
            raise ValueError(f"{path}: '{name}' holds {tensor.dtype}, expected floating-point numbers.")


def require_finite(parts: Parts, path: Path) -> None:
    """Refuse NaN and Inf in the encoder.

    Raises:
        ValueError: a tensor holds some.
    """
    if found := not_finite({name: parts.mapped.state[ours] for name, ours in parts.mapped.sources.items()}):
        first, more = next(iter(found)), f" (and {len(found) - 1} more tensors)" if len(found) > 1 else ""
        raise ValueError(f"{path}: '{first}'{more} holds NaN or Inf. The training diverged, or the file is damaged.")


def not_finite(tensors: Mapping[str, Tensor]) -> dict[str, int]:
    """How many NaN and Inf are in each tensor that has some."""
    counts = {name: int((~torch.isfinite(t)).sum()) for name, t in tensors.items() if t.is_floating_point()}
    return {name: count for name, count in counts.items() if count}


def numbers(state: Mapping[str, Any], pattern: str) -> list[int]:
    """The numbers that a pattern finds in names, each once, in order."""
    return sorted({int(found[1]) for name in state if (found := re.match(pattern, name))})


def grid_and_positions(state: dict[str, Tensor], path: Path) -> tuple[int, Positions, Bias]:
    """The grid, and of what kind positions and bias are; splits off and adds up the class token's position (ADR 15).

    Raises:
        ValueError: there are neither positions nor a bias, or no square grid fits them.
    """
    bias: Bias = "shared" if SHARED_TABLE in state else "block" if numbers(state, TABLES) else "none"
    if bias == "shared":
        state["relative_position_biases.0.table"] = state.pop(SHARED_TABLE)
    if "pos_embed" not in state:
        if bias == "none":
            raise ValueError(f"{path}: neither positions (pos_embed) nor a relative position bias. It is not whole.")
        first = next(state[name] for name in state if re.match(TABLES, name))
        return grid_of_bias(first, path), "none", bias
    positions = state["pos_embed"]
    grid = grid_of_positions(positions.shape[1]) if positions.ndim == 3 and len(positions) == 1 else None
    if grid is None or positions.shape[2:] != state["cls_token"].shape[2:]:
        raise ValueError(f"{path}: positions {tuple(positions.shape)} are those of no square grid of this width.")
    kind: Positions = "sincos" if positions_of({"pos_embed": positions}).startswith("fixed") else "learnt"
    if positions.shape[1] == grid**2 + 1:
        state["cls_token"] = state["cls_token"] + positions[:, :1]
        state["pos_embed"] = positions[:, 1:].contiguous()
    return grid, kind, bias


def grid_of_bias(table: Tensor, path: Path) -> int:
    """The side of the grid that a bias's table is for."""
    side = math.isqrt(max(0, len(table) - 3)) if table.ndim == 2 else 0
    if side % 2 == 0 or side**2 != len(table) - 3:
        raise ValueError(f"{path}: a relative position bias of {tuple(table.shape)} is that of no square grid.")
    return (side + 1) // 2


def find_heads(parts: Parts, given: int | None, path: Path) -> int:
    """The number of heads: given, recorded in a file of ours, or what the family gives this width.

    Raises:
        ValueError: none of these, or it does not divide the width, or a bias is for another number.
    """
    record = parts.table.record
    derived = record.variant.num_heads if record else HEADS[parts.family.name].get(parts.dim)
    columns = {parts.state[name].shape[-1] for name in parts.state if re.match(TABLES, name)}
    heads = given if given is not None else derived
    if heads is None:
        hint = f" Its bias is for {columns.pop()}." if columns else ""
        raise ValueError(
            f"{path}: num_heads: {parts.family.title} has no model of width {parts.dim}, so the number of heads is not "
            f"determined.{hint} Give num_heads (--num-heads)."
        )
    if heads < 1 or parts.dim % heads or (columns and columns != {heads}):
        bias = f", or not the {columns.pop()} heads of its bias" if columns else ""
        raise ValueError(
            f"{path}: num_heads {heads}: does not divide the width {parts.dim}{bias}. Give another number."
        )
    if derived is not None and given not in (None, derived):
        parts.notes.append(f"{given} heads as asked; {parts.family.title} gives this width {derived}")
    return heads


def complete(parts: Parts, encoder: Encoder) -> dict[str, Tensor]:
    """The state with zeros where an encoder without positions keeps them."""
    state = dict(parts.state)
    if parts.positions == "none":
        state["pos_embed"] = torch.zeros(encoder.pos_embed.shape)
    return state


def refuse_misfits(path: Path, parts: Parts, expected: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    """Compare names and shapes with the network's, and a stored index of the bias with ours.

    Raises:
        ValueError: one is missing, left over or of another shape.
    """
    theirs = {ours: name for name, ours in parts.mapped.sources.items()}
    theirs |= {"relative_position_biases.0.table": theirs[SHARED_TABLE]} if SHARED_TABLE in theirs else {}
    wrong = [f"{name}: missing" for name in expected if name not in state]
    wrong += [f"{theirs.get(name, name)}: left over" for name in state if name not in expected]
    for name in expected.keys() & state.keys():
        if expected[name].shape != state[name].shape:
            shapes = f"{tuple(state[name].shape)}, expected {tuple(expected[name].shape)}"
            wrong.append(f"{theirs.get(name, name)}: {shapes}")
    own = build_index((parts.grid, parts.grid)) if parts.bias != "none" else None
    for name, tensor in parts.table.tensors.items():
        if name.endswith("relative_position_index") and (own is None or not torch.equal(tensor.long(), own)):
            wrong.append(f"{name}: numbers the offsets in another order than this bias")
    if wrong:
        listed = "; ".join(sorted(wrong)[:6])
        raise ValueError(f"{path}: read as {parts.family.title}, {len(wrong)} tensors do not fit: {listed}.")


def make_report(path: Path, parts: Parts, variant: Variant) -> Report:
    """What became of every name."""
    entries = {f"{name}/": why for name, why in parts.table.others.items()}
    return Report(
        path=str(path),
        family=parts.family.name,
        title=parts.family.title,
        entry=parts.table.entry,
        mapped=parts.mapped.sources,
        left={**parts.mapped.left, **entries},
        variant=variant,
        image_size=parts.grid * parts.patch_size,
        precision=precision(parts.mapped.state),
        pixels=None,
        notes=tuple(parts.notes),
    )


def precision(state: Mapping[str, Tensor]) -> tuple[str, ...]:
    """The types of numbers in some tensors."""
    return tuple(sorted({str(tensor.dtype).removeprefix("torch.") for tensor in state.values()}))
