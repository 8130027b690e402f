"""Attention parts that timm does not have: cross-attention, sample-wise stochastic depth, relative position bias."""

import math

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
    """Stochastic depth (arXiv 1603.09382) decided by numbers that belong to the sample, not to a generator.

    `draw` takes one uniform number a sample before each forward pass; so the same sample drops the same branch on any
    number of devices, fresh or resumed. Without numbers nothing is dropped. The pass itself reads a tensor alone:
    the rate, a number of each block's own, would have a compiler make every block anew.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.keep: Tensor | None = None

    def draw(self, numbers: Float[Tensor, " batch"] | None) -> None:
        """Decide which samples keep the branch: those whose number reaches the rate, rescaled."""
        kept = None if numbers is None or self.rate == 0.0 else (numbers >= self.rate).float()
        self.keep = None if kept is None else kept / (1.0 - self.rate)

    def forward(self, x: Float[Tensor, "batch tokens dim"]) -> Float[Tensor, "batch tokens dim"]:
        """Zero the branch of the samples that drop it, and rescale the others'."""
        return x if self.keep is None else x * self.keep.to(x.dtype)[:, None, None]


class RelativePositionBias(nn.Module):
    """One block's learnt bias on attention by relative position (BEiT, arXiv 2106.08254), zero at the start.

    The table has an entry for each offset, and three more for pairs with the class token.
    """

    index: Tensor

    def __init__(self, grid: int, num_heads: int) -> None:
        super().__init__()
        self.grid = grid
        self.table = nn.Parameter(torch.zeros((2 * grid - 1) ** 2 + 3, num_heads))
        self.register_buffer("index", build_index((grid, grid)), persistent=False)

    def forward(self, grid: tuple[int, int] | None = None) -> Float[Tensor, "1 heads tokens tokens"]:
        """The bias to add to the attention logits; on another grid than its own, the offsets' part is interpolated."""
        if grid is None or grid == (self.grid, self.grid):
            return self.table[self.index].permute(2, 0, 1).unsqueeze(0)
        table = resample_table(self.table, grid)
        return table[build_index(grid).to(table.device)].permute(2, 0, 1).unsqueeze(0)


def resample_table(table: Float[Tensor, "entries heads"], grid: tuple[int, int]) -> Float[Tensor, "new_entries heads"]:
    """A square grid's table for another grid: the offsets' part is interpolated (bicubic), the last three stay."""
    side, (rows, columns) = math.isqrt(len(table) - 3), grid
    if (side, side) == (2 * rows - 1, 2 * columns - 1):
        return table
    offsets = table[:-3].T.unflatten(1, (side, side)).unsqueeze(0)
    resized = F.interpolate(offsets, (2 * rows - 1, 2 * columns - 1), mode="bicubic", align_corners=False)
    return torch.cat([resized[0].flatten(1).T, table[-3:]])


def build_index(grid: tuple[int, int]) -> Int[Tensor, "tokens tokens"]:
    """Which entry of the table a pair of tokens takes: its offset's, or one of the last three with the class token."""
    num_rows, num_columns = grid
    num_offsets = (2 * num_rows - 1) * (2 * num_columns - 1)
    axes = torch.arange(num_rows), torch.arange(num_columns)
    rows, columns = (part.flatten() for part in torch.meshgrid(*axes, indexing="ij"))
    row_offset = rows[:, None] - rows[None, :] + num_rows - 1
    column_offset = columns[:, None] - columns[None, :] + num_columns - 1
    index = torch.full((num_rows * num_columns + 1,) * 2, num_offsets)  # class token to patch
    index[1:, 1:] = row_offset * (2 * num_columns - 1) + column_offset
    index[1:, 0] = num_offsets + 1  # patch to class token
    index[0, 0] = num_offsets + 2
    return index
