"""An opened encoder file: its tensors under our names, and the sizes in their shapes, before a network is built."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from caebench.checkpoints.fusing import fuse
from caebench.checkpoints.mapping import (
    Mapped,
    Table,
    facts_of,
    grid_of_positions,
    map_names,
    matches,
    positions_of,
    recognise,
    unwrap,
)
from caebench.checkpoints.pixels import stats_from_family
from caebench.checkpoints.reading import Format, read
from caebench.checkpoints.stated import Stated, check_stated, read_stated
from caebench.checkpoints.tensors import fault_of, type_fault_of
from caebench.models.vit import Bias, Positions
from caebench.specs.architecture import Activation, Architecture
from caebench.specs.family import PARITY, SHARED_TABLE, Family
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
    facts: list[str]  # what the family's patterns are matched against
    stated: Stated  # what a config next to the file says
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
        """The epsilon of layer norms: in the note of our own file, in a config next to the file, or the family's."""
        return self.table.record.norm_eps if self.table.record else self.stated.norm_eps or self.family.norm_eps

    @property
    def parity(self) -> str:
        """How far agreement with the family's own code was tested for such a file."""
        is_tested = not any(matches(patterns, self.facts) for patterns in self.family.unverified)
        return PARITY[self.family.parity if is_tested else "source"]

    @property
    def own_activation(self) -> Activation | None:
        """The activation that content and family determine; None if neither does."""
        for pattern, activation in self.family.activation_marks:
            if matches((pattern,), self.facts):
                return activation
        return self.family.activation

    @property
    def of_family(self) -> dict[str, Any]:
        """Epsilon and activation as content and family alone determine them: a job that differs says so in its id."""
        if (record := self.table.record) is not None:
            return {"activation": record.architecture.activation, "norm_eps": record.norm_eps}
        return {"activation": "gelu" if self.is_gated else self.own_activation, "norm_eps": self.family.norm_eps}

    @property
    def is_gated(self) -> bool:
        """Whether the MLP's first layer has a gate beside its values: twice the rows."""
        fc1 = self.state.get("blocks.0.mlp.fc1.weight")
        return fc1 is not None and fc1.ndim == 2 and fc1.shape[0] == 2 * self.mlp_dim

    @property
    def num_registers(self) -> int:
        """Registers."""
        found = self.state.get("registers")
        return found.shape[1] if found is not None and found.ndim == 3 else 0

    @property
    def mlp_dim(self) -> int:
        """Width of the MLP inside."""
        weight = self.state.get("blocks.0.mlp.fc2.weight")
        return weight.shape[1] if weight is not None and weight.ndim == 2 else 4 * self.dim

    def architecture(self, activation: Activation) -> Architecture:
        """What its keys and shapes, its family and our own note say of the network."""
        if self.table.record is not None:
            return self.table.record.architecture
        return Architecture(
            class_token=self.family.class_token,
            num_registers=self.num_registers,
            norm_before_blocks=self.family.norm_before_blocks,
            patch_bias=self.family.patch_bias,
            qkv_bias=any(name.endswith(".attn.qkv.bias") for name in self.state),
            activation="gelu" if self.is_gated else activation,
            gated=self.is_gated,
            mlp_dim=None if self.mlp_dim == 4 * self.dim else self.mlp_dim,
            norms_class_only=self.family.norms_class_only,
        )

    @property
    def sizes(self) -> dict[str, int]:
        """The sizes that a config may name, too."""
        return {
            "width": self.dim,
            "blocks": self.depth,
            "patch_size": self.patch_size,
            "image_size": self.grid * self.patch_size,
            "mlp_dim": self.mlp_dim,
            "num_registers": self.num_registers,
        }

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
    state = fuse({name: with_batch(name, tensor.float()) for name, tensor in mapped.state.items()})
    has_class_token = table.record.architecture.class_token if table.record else found.class_token
    required = ("patch_embed.weight", *(["cls_token"] if has_class_token else []), "norm.weight")
    if missing := [name for name in required if name not in state]:
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
    stated = Stated() if table.record else read_stated(path, found)
    facts = facts_of(table, content)
    parts = Parts(path, found, table, mapped, state, positions, bias, grid, content.format, facts, stated)
    check_stated(stated, parts.sizes, path)
    return parts


def with_batch(name: str, tensor: Tensor) -> Tensor:
    """Class token and positions as [1, tokens, dim]; some projects store [dim] and [tokens, dim]."""
    axes = 3 if name in ("cls_token", "pos_embed") else tensor.ndim
    return tensor[(None,) * max(0, axes - tensor.ndim)] if tensor.ndim else tensor


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
    is_one, class_token = positions.ndim == 3 and len(positions) == 1, state.get("cls_token")
    grid = grid_of_positions(positions.shape[1], class_token is not None) if is_one else None
    width = state["patch_embed.weight"].shape[:1] if class_token is None else class_token.shape[2:]
    if grid is None or positions.shape[2:] != width:
        raise ValueError(f"{path}: positions {tuple(positions.shape)} fit no square grid of this width.")
    kind: Positions = "sincos" if positions_of({"pos_embed": positions}).startswith("fixed") else "learnt"
    if class_token is not None and positions.shape[1] == grid**2 + 1:
        state["cls_token"] = class_token + positions[:, :1]
        state["pos_embed"] = positions[:, 1:].contiguous()
    return grid, kind, bias


def grid_of_bias(table: Tensor, path: Path) -> int:
    """The side of the grid that a bias's table is for."""
    side = math.isqrt(max(0, len(table) - 3)) if table.ndim == 2 else 0
    if side % 2 == 0 or side**2 != len(table) - 3:
        raise ValueError(f"{path}: a relative position bias of {tuple(table.shape)} fits no square grid.")
    return (side + 1) // 2
