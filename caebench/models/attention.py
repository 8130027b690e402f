"""Attention parts that timm does not have: cross-attention, sample-wise stochastic depth, relative position bias."""

import torch
from jaxtyping import Float
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

    `draws` holds one uniform number a sample, set before each forward pass; so the same sample drops the same branch
    on any number of devices, fresh or resumed. Without draws nothing is dropped.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.draws: Tensor | None = None

    def forward(self, x: Float[Tensor, "batch tokens dim"]) -> Float[Tensor, "batch tokens dim"]:
        """Zero the branch of the samples whose draw falls below the rate, and rescale the others."""
        if self.draws is None or self.rate == 0.0:
            return x
        keep = (self.draws >= self.rate).to(x.dtype) / (1.0 - self.rate)
        return x * keep[:, None, None]


class RelativePositionBias(nn.Module):
    """One block's learnt bias on attention by relative position (BEiT, arXiv 2106.08254), zero at the start.

    The table has an entry for each offset, and three more for pairs with the class token.
    """

    index: Tensor

    def __init__(self, grid: int, num_heads: int) -> None:
        super().__init__()
        num_offsets = (2 * grid - 1) ** 2
        self.table = nn.Parameter(torch.zeros(num_offsets + 3, num_heads))
        self.register_buffer("index", self._build_index(grid, num_offsets), persistent=False)

    @staticmethod
    def _build_index(grid: int, num_offsets: int) -> Tensor:
        axis = torch.arange(grid)
        rows, columns = (part.flatten() for part in torch.meshgrid(axis, axis, indexing="ij"))
        row_offset = rows[:, None] - rows[None, :] + grid - 1
        column_offset = columns[:, None] - columns[None, :] + grid - 1
        index = torch.full((grid * grid + 1, grid * grid + 1), num_offsets)  # class token to patch
        index[1:, 1:] = row_offset * (2 * grid - 1) + column_offset
        index[1:, 0] = num_offsets + 1  # patch to class token
        index[0, 0] = num_offsets + 2
        return index

    def forward(self) -> Float[Tensor, "1 heads tokens tokens"]:
        """The bias to add to the attention logits."""
        return self.table[self.index].permute(2, 0, 1).unsqueeze(0)
