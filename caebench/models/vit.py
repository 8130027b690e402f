"""The encoder: a plain Vision Transformer that encodes visible patches only (CAE, Sec. 3.1).

timm's blocks, a class token, fixed 2-D sin-cos positions, layer scale, a final norm. Patches that are not visible
are dropped, not masked. Masks and stochastic depth come from outside: nothing here draws a random number after
initialisation.
"""

from typing import Any, Literal, cast

import torch
from jaxtyping import Bool, Float
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from caebench.config.variants import Variant
from caebench.models.attention import RelativePositionBias, SampleDropPath

Init = Literal["xavier", "truncated_normal"]


class LayerNorm(nn.LayerNorm):
    """Layer norm with the epsilon of timm and of the official code."""

    def __init__(self, dim: int, **options: Any) -> None:
        super().__init__(dim, eps=1e-6, **options)


def sincos_positions(grid: int, dim: int) -> Float[Tensor, "1 patches dim"]:
    """Fixed 2-D sin-cos positions in the form of MoCo v3: row sin, row cos, column sin, column cos; temperature 1e4."""
    if dim % 4:
        raise ValueError(f"width {dim}: 2-D sin-cos positions need a multiple of 4. Choose another variant.")
    omega = 1e4 ** -(torch.arange(dim // 4, dtype=torch.float32) / (dim // 4))
    angle = torch.arange(grid, dtype=torch.float32)[:, None] * omega
    rows, columns = angle.repeat_interleave(grid, dim=0), angle.repeat(grid, 1)
    return torch.cat([rows.sin(), rows.cos(), columns.sin(), columns.cos()], dim=1)[None]


def num_grid(image_size: int, patch_size: int) -> int:
    """Patches along one side.

    Raises:
        ValueError: the patch size does not divide the image size.
    """
    if image_size % patch_size:
        raise ValueError(
            f"image_size {image_size} is not a multiple of the patch size {patch_size}. Change one of them."
        )
    return image_size // patch_size


def gather(tokens: Float[Tensor, "batch patches dim"], chosen: Bool[Tensor, "batch patches"]) -> Tensor:
    """The chosen tokens of each image, in order: [batch, chosen, dim]. Every image must choose equally many."""
    batch, _, dim = tokens.shape
    return tokens[chosen].reshape(batch, -1, dim)


def make_block(dim: int, num_heads: int, layer_scale: float | None, drop_path: float) -> Block:
    """A pre-norm timm block whose stochastic depth follows the sample."""
    block = Block(dim, num_heads, qkv_bias=True, init_values=layer_scale, norm_layer=LayerNorm)
    for name in ("drop_path1", "drop_path2"):
        block.add_module(name, SampleDropPath(drop_path))
    return block


def linear_rates(drop_path: float, depth: int) -> list[float]:
    """Stochastic depth rising linearly over the blocks, from 0."""
    return torch.linspace(0, drop_path, depth).tolist()


def set_draws(blocks: nn.ModuleList, draws: Float[Tensor, "batch numbers"] | None) -> None:
    """Hand every stochastic-depth layer its column of per-sample uniform numbers, two a block; None: no drops."""
    layers = [layer for block in blocks for layer in (block.drop_path1, block.drop_path2)]
    for column, layer in enumerate(layers):
        cast(SampleDropPath, layer).draws = None if draws is None else draws[:, column]


def initialise(module: nn.Module, init: Init = "xavier") -> None:
    """Linear weights and biases, convolutions, norms; official modeling_cae.py and modeling_cae_helper.py."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight) if init == "xavier" else truncated_normal(layer.weight)
        elif isinstance(layer, nn.Conv2d):
            truncated_normal(layer.weight)
        if isinstance(layer, (nn.Linear, nn.Conv2d)) and layer.bias is not None:
            nn.init.zeros_(layer.bias)


def truncated_normal(weight: Tensor, std: float = 0.02) -> None:
    """A normal cut at one standard deviation, as everywhere in the official code."""
    nn.init.trunc_normal_(weight, std=std, a=-std, b=std)


@torch.no_grad()
def rescale_by_depth(blocks: nn.ModuleList) -> None:
    """BEiT's rescaling of each block's two output projections by sqrt(2 * block number)."""
    for number, block in enumerate(blocks, start=1):
        for projection in ("attn.proj.weight", "mlp.fc2.weight"):
            block.get_parameter(projection).div_((2.0 * number) ** 0.5)


class Encoder(nn.Module):
    """Class token and visible patches in, their representations out."""

    pos_embed: Tensor
    norm: nn.Module  # fine-tuning moves it behind the pooling

    def __init__(
        self,
        variant: Variant,
        image_size: int,
        *,
        layer_scale: float | None = 0.1,
        drop_path: float = 0.0,
        relative_position_bias: bool = False,
        init: Init = "xavier",
    ) -> None:
        super().__init__()
        dim, depth, num_heads, patch_size = variant
        self.variant, self.image_size = variant, image_size
        self.grid = num_grid(image_size, patch_size)
        self.patch_embed = nn.Conv2d(3, dim, patch_size, stride=patch_size)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.register_buffer("pos_embed", sincos_positions(self.grid, dim))
        rates = linear_rates(drop_path, depth)
        self.blocks = nn.ModuleList(make_block(dim, num_heads, layer_scale, rate) for rate in rates)
        self.norm = LayerNorm(dim)
        biases = [RelativePositionBias(self.grid, num_heads) for _ in range(depth if relative_position_bias else 0)]
        self.relative_position_biases = nn.ModuleList(biases)
        self._initialise(init)

    def _initialise(self, init: Init) -> None:
        truncated_normal(self.cls_token)
        initialise(self, init)
        if init == "truncated_normal":
            rescale_by_depth(self.blocks)

    @property
    def num_patches(self) -> int:
        """Patches in an image."""
        return self.grid**2

    @property
    def num_draws(self) -> int:
        """Uniform numbers that one training pass of one image uses."""
        return 2 * len(self.blocks)

    def forward(
        self,
        images: Float[Tensor, "batch 3 height width"],
        visible: Bool[Tensor, "batch patches"] | None = None,
        draws: Float[Tensor, "batch numbers"] | None = None,
    ) -> Float[Tensor, "batch tokens dim"]:
        """Encode the visible patches (all of them by default) after the class token; every image shows equally many."""
        tokens = self.patch_embed(images).flatten(2).transpose(1, 2) + self.pos_embed
        if visible is not None:
            tokens = gather(tokens, visible)
        tokens = torch.cat([self.cls_token.expand(len(tokens), -1, -1), tokens], dim=1)
        set_draws(self.blocks, draws)
        for number, block in enumerate(self.blocks):
            tokens = block(tokens, attn_mask=self.bias(number))
        return self.norm(tokens)

    def bias(self, block: int, grid: tuple[int, int] | None = None) -> Float[Tensor, "1 heads tokens tokens"] | None:
        """A block's relative position bias, on this grid (the encoder's own by default); None without one."""
        return self.relative_position_biases[block](grid) if len(self.relative_position_biases) else None
