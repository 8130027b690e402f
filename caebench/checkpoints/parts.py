"""An opened encoder file: its tensors under our names, and the sizes in their shapes, before a network is built."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from caebench.checkpoints.fusing import fuse
from caebench.checkpoints.mapping import Mapped, Table, grid_of_positions, map_names, positions_of, recognise, unwrap
from caebench.checkpoints.pixels import stats_from_family
from caebench.checkpoints.reading import Format, read
from caebench.checkpoints.tensors import fault_of, type_fault_of
from caebench.models.vit import Bias, Positions
from caebench.specs.family import SHARED_TABLE, Family
from caebench.specs.pixel_stats import SourcedStats

TABLES = r"^relative_position_biases\.(\d{1,6})\.table$"
BLOCKS = r"^blocks\.(\d{1,6})\."
LARGEST_GRID = 100  # with a bias, whose index has the square of the number of patches


@dataclass
class Parts:
    """The parts of an encoder: its tensors under our names, and the sizes in their shapes."""

    path: Path
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
        """The epsilon of the family's layer norms, or the one in the note of our own file."""
        return self.table.record.norm_eps if self.table.record else self.family.norm_eps

    @property
    def unused_keys(self) -> dict[str, str]:
        """Keys, and complete entries (which end in "/"), that are not the encoder's -> why they are not used."""
        return {**self.mapped.unused, **{f"{name}/": why for name, why in self.table.others.items()}}

    def stats_sources(self) -> list[SourcedStats]:
        """The pixel statistics of the file, or else of its family."""
        return [self.table.pixels] if self.table.pixels else list(stats_from_family(self.family))


def open_parts(path: Path, family: str | None = None) -> Parts:
    """A file's encoder under our names, not yet compared with the network or checked for NaN.

    Raises:
        ValueError: see `load_encoder`.
    """
    content = read(path)
    table, found = recognise(unwrap(content), content, family)
    mapped = map_names(table, found, path)
    require_plain(mapped, path)
    state = fuse({name: tensor.float() for name, tensor in mapped.state.items()})
    if missing := [name for name in ("patch_embed.weight", "cls_token", "norm.weight") if name not in state]:
        raise ValueError(f"{path}: read as {found.title}, but it has no {', '.join(missing)}. The file is incomplete.")
    kernel = state["patch_embed.weight"]
    if kernel.ndim != 4 or kernel.shape[1] != 3 or kernel.shape[2] != kernel.shape[3] or not kernel.numel():
        raise ValueError(f"{path}: patch embedding {tuple(kernel.shape)}, expected (dim, 3, patch, patch).")
    if (blocks := numbers(state, BLOCKS)) != list(range(len(blocks))) or not blocks:
        raise ValueError(f"{path}: blocks {blocks[:12]}: some are missing. The file is incomplete.")
    if table.record and table.record.is_shared and "relative_position_biases.0.table" in state:
        state[SHARED_TABLE] = state.pop("relative_position_biases.0.table")
    grid, positions, bias = grid_and_positions(state, path)
    if bias != "none" and grid > LARGEST_GRID:
        raise ValueError(f"{path}: a relative position bias on {grid} x {grid} patches; {LARGEST_GRID} is the largest.")
    return Parts(path, found, table, mapped, state, positions, bias, grid, content.format)


def require_plain(mapped: Mapped, path: Path) -> None:
    """Check that tensors are dense, complete and of floating-point type.

    Raises:
        ValueError: one is not.
    """
    for name, ours in mapped.sources.items():
        tensor = mapped.state[ours]
        if fault := fault_of(tensor) or type_fault_of(tensor):
            raise ValueError(f"{path}: '{name}' {fault}")


def numbers(state: Mapping[str, Any], pattern: str) -> list[int]:
    """The numbers that a pattern finds in names, unique and sorted."""
    return sorted({int(found[1]) for name in state if (found := re.match(pattern, name))})


def grid_and_positions(state: dict[str, Tensor], path: Path) -> tuple[int, Positions, Bias]:
    """The grid and the kinds of positions and bias; the class token's position is added to the token (ADR 15).

    Raises:
        ValueError: there are neither positions nor a bias, or no square grid fits them.
    """
    bias: Bias = "shared" if SHARED_TABLE in state else "block" if numbers(state, TABLES) else "none"
    if bias == "shared":
        state["relative_position_biases.0.table"] = state.pop(SHARED_TABLE)
    if "pos_embed" not in state:
        if bias == "none":
            raise ValueError(f"{path}: neither positions (pos_embed) nor a relative position bias. It is incomplete.")
        first = next(state[name] for name in state if re.match(TABLES, name))
        return grid_of_bias(first, path), "none", bias
    positions = state["pos_embed"]
    grid = grid_of_positions(positions.shape[1]) if positions.ndim == 3 and len(positions) == 1 else None
    if grid is None or positions.shape[2:] != state["cls_token"].shape[2:]:
        raise ValueError(f"{path}: positions {tuple(positions.shape)} fit no square grid of this width.")
    kind: Positions = "sincos" if positions_of({"pos_embed": positions}).startswith("fixed") else "learnt"
    if positions.shape[1] == grid**2 + 1:
        state["cls_token"] = state["cls_token"] + positions[:, :1]
        state["pos_embed"] = positions[:, 1:].contiguous()
    return grid, kind, bias


def grid_of_bias(table: Tensor, path: Path) -> int:
    """The side of the grid that a bias's table is for."""
    side = math.isqrt(max(0, len(table) - 3)) if table.ndim == 2 else 0
    if side % 2 == 0 or side**2 != len(table) - 3:
        raise ValueError(f"{path}: a relative position bias of {tuple(table.shape)} fits no square grid.")
    return (side + 1) // 2
