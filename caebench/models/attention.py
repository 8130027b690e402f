"""Attention modules that timm lacks: cross-attention, per-sample stochastic depth, relative position bias."""

import math
from functools import cache

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F


class CrossAttention(nn.Module):
    """Multi-head cross-attention with separate queries, keys and values; keys have no bias, as in BEiT and CAE."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q = nn.Linear(dim, dim)
        self.k = nn.Linear(dim, dim, bias=False)
        self.v = nn.Linear(dim, dim)
        self.proj = nn.Linear(dim, dim)

    def forward(
        self,
        queries: Float[Tensor, "batch queries dim"],
        keys: Float[Tensor, "batch keys dim"],
        values: Float[Tensor, "batch keys dim"],
    ) -> Float[Tensor, "batch queries dim"]:
        """Attend from every query to all keys."""
        q, k, v = (
            layer(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)  # [batch, heads, tokens, head_dim]
            for layer, x in ((self.q, queries), (self.k, keys), (self.v, values))
        )
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class SampleDropPath(nn.Module):
    """Stochastic depth (arXiv 1603.09382) decided by the sample's drop-path uniforms, not by a generator.

    `set_uniforms` takes one uniform number per sample before each forward pass, so the same sample drops the same
    branch on any number of devices, fresh or resumed. Without numbers nothing is dropped. The forward pass reads only a
    tensor: a rate that differs by block would make a compiler build a separate graph for each block.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.keep: Tensor | None = None

    def set_uniforms(self, numbers: Float[Tensor, " batch"] | None) -> None:
        """Keep the branch, rescaled, of those samples whose number reaches the rate."""
        kept = None if numbers is None or self.rate == 0.0 else (numbers >= self.rate).float()
        self.keep = None if kept is None else kept / (1.0 - self.rate)

    def forward(self, x: Float[Tensor, "batch tokens dim"]) -> Float[Tensor, "batch tokens dim"]:
        """Zero the branch of the samples that drop it, and rescale the others'."""
        return x if self.keep is None else x * self.keep.to(x.dtype)[:, None, None]


class RelativePositionBias(nn.Module):
    """One block's learnt bias on attention by relative position (BEiT, arXiv 2106.08254), initialised to zero.

    The table has an entry for each offset, and three more for pairs with the class token; registers take these too.
    """

    index: Tensor

    def __init__(self, grid: int, num_heads: int, num_prefix: int = 1) -> None:
        super().__init__()
        self.grid, self.num_prefix = grid, num_prefix
        self.table = nn.Parameter(torch.zeros((2 * grid - 1) ** 2 + 3, num_heads))
        self.register_buffer("index", build_index((grid, grid), num_prefix), persistent=False)

    def forward(self, grid: tuple[int, int] | None = None) -> Float[Tensor, "1 heads tokens tokens"]:
        """The bias to add to the attention logits; its own grid unless another is given."""
        if grid is None or grid == (self.grid, self.grid):
            return self.table[self.index].permute(2, 0, 1).unsqueeze(0)
        table = resample_table(self.table, grid)
        return table[build_index(grid, self.num_prefix).to(table.device)].permute(2, 0, 1).unsqueeze(0)


def resample_table(table: Float[Tensor, "entries heads"], grid: tuple[int, int]) -> Float[Tensor, "new_entries heads"]:
    """A square grid's table for another grid; the last three entries, of the class token, do not change.

    The rule of the official loaders (BEiT, CAE; fine-tuning, segmentation, detection): the offsets are placed
    at growing distances, so that an offset of one patch keeps its bias, and a cubic spline through them is evaluated at
    integer offsets. A spline is linear in the table, so gradients pass.
    """
    side, (rows, columns) = math.isqrt(len(table) - 3), grid
    source = (side + 1) // 2
    if (source, source) == (rows, columns):
        return table
    offsets = table[:-3].double().unflatten(0, (side, side))
    along = [torch.from_numpy(spline_weights(source, length)).to(table.device) for length in (rows, columns)]
    resampled = torch.einsum("ra,cb,abh->rch", *along, offsets)
    return torch.cat([resampled.flatten(0, 1).to(table.dtype), table[-3:]])


@cache
def spline_weights(source: int, target: int) -> Float[np.ndarray, "new_offsets offsets"]:
    """The weight of each offset of a grid of `source` patches at each offset of one of `target`, along one axis."""
    from scipy.interpolate import make_interp_spline  # half a second that only a table of another grid takes

    places = place_offsets(source, target)
    spline = make_interp_spline(places, np.eye(len(places)), k=min(3, len(places) - 1))
    wanted = np.arange(1 - target, target, dtype=float)
    return spline(wanted.clip(places[0], places[-1]))  # constant beyond the farthest offset


def place_offsets(source: int, target: int) -> Float[np.ndarray, " offsets"]:
    """The positions of a source grid's offsets, in patches of the target: 0, 1, 1 + q, 1 + q + q^2 ..., both ways.

    The farthest is at the target's farthest offset, or as near to it as q between 1.01 and 1.5 allows; q is bisected to
    1e-6 and is the last one tried, as in the official code.
    """
    low, high, ratio = 1.01, 1.5, 1.01
    powers = np.arange(source - 1)
    while high - low > 1e-6:
        ratio = (low + high) / 2
        low, high = (low, ratio) if (ratio**powers).sum() > target - 1 else (ratio, high)
    ahead = np.cumsum(ratio**powers)
    return np.concatenate([-ahead[::-1], [0.0], ahead])


def build_index(grid: tuple[int, int], num_prefix: int = 1) -> Int[Tensor, "tokens tokens"]:
    """The table entry of each pair of tokens: that of its offset, or one of the last three with the class token.

    The tokens before the patches are the class token, if there is one, and registers, which take its entries.
    """
    num_rows, num_columns = grid
    num_offsets = (2 * num_rows - 1) * (2 * num_columns - 1)
    axes = torch.arange(num_rows), torch.arange(num_columns)
    rows, columns = (part.flatten() for part in torch.meshgrid(*axes, indexing="ij"))
    row_offset = rows[:, None] - rows[None, :] + num_rows - 1
    column_offset = columns[:, None] - columns[None, :] + num_columns - 1
    index = torch.full((num_rows * num_columns + num_prefix,) * 2, num_offsets)  # class token to patch
    index[num_prefix:, num_prefix:] = row_offset * (2 * num_columns - 1) + column_offset
    index[num_prefix:, :num_prefix] = num_offsets + 1  # patch to class token
    index[:num_prefix, :num_prefix] = num_offsets + 2
    return index
