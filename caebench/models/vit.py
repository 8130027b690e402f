"""The encoder of every method: a plain Vision Transformer, which can encode visible patches only (CAE, Sec. 3.1).

timm's blocks, a class token, positions, a final norm; layer scale and relative position bias if a method has them, and
for encoders of other projects what `specs.architecture` lists (ADR 40).
Masked patches are dropped (CAE, MAE) or replaced by a mask token (BEiT, iBOT). Masks and drop-path uniforms are given:
no random numbers are generated here after initialisation.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple, cast

import torch
from jaxtyping import Bool, Float, Int, Shaped
from timm.layers.pos_embed import resample_abs_pos_embed
from timm.models.vision_transformer import Block
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from caebench.models.attention import RelativePositionBias, SampleDropPath
from caebench.models.initialisation import Init, initialise, rescale_by_depth, truncate_at_one_std
from caebench.models.mlp import make_mlp
from caebench.specs.architecture import PLAIN, Architecture
from caebench.specs.variants import Variant

Positions = Literal["sincos", "learnt", "learnt_with_class", "none"]  # sincos: fixed; with_class: the class token's too
Interpolation = Literal["antialiased", "offset"]  # of positions on another grid; offset: DINO's and iBOT's code
Bias = Literal["none", "block", "shared"]  # relative position bias: one per block, or one for all
Grid = tuple[int, int]  # rows and columns of patches
Chosen = Bool[Tensor, "batch patches"] | Int[Tensor, "batch chosen"]  # a mask, or the indices of patches


class Fill(NamedTuple):
    """A mask token, and the patches that it replaces."""

    masked: Bool[Tensor, "batch patches"]
    token: Float[Tensor, "1 1 dim"]


class Outputs(NamedTuple):
    """What a block says of images, without registers."""

    class_token: Float[Tensor, "batch count dim"]  # one, or none where the encoder has no class token
    patches: Float[Tensor, "batch patches dim"]


class LayerNorm(nn.LayerNorm):
    """Layer norm with the epsilon of timm and of the official code."""

    def __init__(self, dim: int, **options: Any) -> None:
        super().__init__(dim, eps=1e-6, **options)


def sincos_positions(grid: int, dim: int) -> Float[Tensor, "1 patches dim"]:
    """Fixed 2-D sin-cos positions as in MoCo v3: row sin, row cos, column sin, column cos; temperature 1e4."""
    if dim % 4:
        raise ValueError(f"width {dim}: 2-D sin-cos positions need a multiple of 4. Choose another variant.")
    omega = 1e4 ** -(torch.arange(dim // 4, dtype=torch.float32) / (dim // 4))
    angle = torch.arange(grid, dtype=torch.float32)[:, None] * omega
    rows, columns = angle.repeat_interleave(grid, dim=0), angle.repeat(grid, 1)
    return torch.cat([rows.sin(), rows.cos(), columns.sin(), columns.cos()], dim=1)[None]


def resample_positions(
    positions: Float[Tensor, "1 patches dim"], grid: Grid, old: Grid | None = None
) -> Float[Tensor, "1 new_patches dim"]:
    """Positions on another grid (bicubic, antialiased, in float32); the old one is square unless it is given."""
    resample = cast(Callable[..., Tensor], resample_abs_pos_embed)  # torch.fx.wrap hides its type
    return resample(positions, list(grid), list(old) if old else None, num_prefix_tokens=0)


def interpolate_with_offset(
    positions: Float[Tensor, "1 patches dim"], grid: Grid, old: Grid
) -> Float[Tensor, "1 new_patches dim"]:
    """Positions on another grid as DINO and iBOT train their small crops (official `interpolate_pos_encoding`).

    Bicubic without antialiasing; the scale is that of a grid a tenth of a patch larger, so positions are slightly off.
    """
    image = positions.transpose(1, 2).unflatten(2, old)
    scale = [(new + 0.1) / side for new, side in zip(grid, old, strict=True)]
    return F.interpolate(image, scale_factor=scale, mode="bicubic").flatten(2).transpose(1, 2)


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


def gather(tokens: Shaped[Tensor, "batch patches *dim"], chosen: Chosen) -> Tensor:
    """The chosen tokens of each image, in order: [batch, chosen, dim]. Every image must choose equally many.

    With indices instead of a mask the host need not wait for the device to count them.
    """
    if chosen.dtype == torch.bool:
        return tokens[chosen].reshape(len(tokens), -1, *tokens.shape[2:])
    rows = chosen + tokens.shape[1] * torch.arange(len(tokens), device=chosen.device)[:, None]
    return tokens.flatten(0, 1).index_select(0, rows.flatten()).unflatten(0, chosen.shape)


def make_block(
    dim: int, num_heads: int, layer_scale: float | None, drop_path: float, architecture: Architecture = PLAIN
) -> Block:
    """A pre-norm timm block whose stochastic depth follows the sample."""
    block = Block(dim, num_heads, qkv_bias=architecture.qkv_bias, init_values=layer_scale, norm_layer=LayerNorm)
    if (mlp := make_mlp(dim, architecture)) is not None:
        block.mlp = mlp
    for name in ("drop_path1", "drop_path2"):
        block.add_module(name, SampleDropPath(drop_path))
    return block


def linear_rates(drop_path: float, depth: int) -> list[float]:
    """Stochastic depth rising linearly over the blocks, from 0."""
    return torch.linspace(0, drop_path, depth, device="cpu").tolist()


def through(block: nn.Module, tokens: Float[Tensor, "batch tokens dim"], attn_mask: Tensor | None) -> Tensor:
    """The tokens after a block; a `recomputed` block stores only its input, and is recomputed in the backward pass.

    Then it drops the same branches, although another forward pass may have set other uniforms in the meantime.
    """
    if not (torch.is_grad_enabled() and getattr(block, "recomputed", False)):
        return block(tokens, attn_mask=attn_mask)
    layers = [cast(SampleDropPath, layer) for layer in (block.drop_path1, block.drop_path2)]
    kept = [layer.keep for layer in layers]

    def run(tokens: Tensor) -> Tensor:
        for layer, keep in zip(layers, kept, strict=True):
            layer.keep = keep
        return block(tokens, attn_mask=attn_mask)

    return cast(Tensor, checkpoint(run, tokens, use_reentrant=False, preserve_rng_state=False))


def set_drop_path_uniforms(blocks: nn.ModuleList, drop_path_uniforms: Float[Tensor, "batch numbers"] | None) -> None:
    """Give every stochastic-depth layer its column of per-sample uniforms, two per block; None: nothing is dropped."""
    layers = [layer for block in blocks for layer in (block.drop_path1, block.drop_path2)]
    for column, layer in enumerate(layers):
        cast(SampleDropPath, layer).set_uniforms(None if drop_path_uniforms is None else drop_path_uniforms[:, column])


class Encoder(nn.Module):
    """From images to representations of the class token, the registers and the patches."""

    cls_token: Tensor  # None where the architecture has no class token
    registers: Tensor  # None where it has no registers
    pos_embed: Tensor
    norm: nn.Module  # fine-tuning moves it after the pooling

    def __init__(
        self,
        variant: Variant,
        image_size: int,
        *,
        layer_scale: float | None = 0.1,
        drop_path: float = 0.0,
        relative_position_bias: Bias = "none",
        positions: Positions = "sincos",
        init: Init = "xavier",
        norm_eps: float = 1e-6,
        init_std: float = 0.02,
        interpolation: Interpolation = "antialiased",
        architecture: Architecture = PLAIN,
    ) -> None:
        super().__init__()
        dim, depth, num_heads, patch_size = variant
        self.variant, self.image_size, self.positions = variant, image_size, positions
        self.interpolation, self.architecture = interpolation, architecture
        self.grid = num_grid(image_size, patch_size)
        self.patch_embed = nn.Conv2d(3, dim, patch_size, stride=patch_size, bias=architecture.patch_bias)
        self._make_prefix(dim)
        self._make_positions(dim)
        rates = linear_rates(drop_path, depth)
        self.blocks = nn.ModuleList(make_block(dim, num_heads, layer_scale, rate, architecture) for rate in rates)
        self.norm_before = LayerNorm(dim) if architecture.norm_before_blocks else nn.Identity()
        self.norm = LayerNorm(dim)
        num_biases = {"none": 0, "block": depth, "shared": 1}[relative_position_bias]
        biases = [RelativePositionBias(self.grid, num_heads, self.num_prefix) for _ in range(num_biases)]
        self.relative_position_biases = nn.ModuleList(biases)
        self.relative_position_bias = relative_position_bias
        self._initialise(init, init_std)
        for norm in (module for module in self.modules() if isinstance(module, LayerNorm)):
            norm.eps = norm_eps  # that of an imported file

    def _make_prefix(self, dim: int) -> None:
        counts = {"cls_token": int(self.architecture.class_token), "registers": self.architecture.num_registers}
        for name, count in counts.items():
            self.register_parameter(name, nn.Parameter(torch.zeros(1, count, dim)) if count else None)

    def _make_positions(self, dim: int) -> None:
        match self.positions:
            case "sincos":
                self.register_buffer("pos_embed", sincos_positions(self.grid, dim))
            case "learnt":
                self.pos_embed = nn.Parameter(torch.zeros(1, self.num_patches, dim))
            case "learnt_with_class":
                self.pos_embed = nn.Parameter(torch.zeros(1, 1 + self.num_patches, dim))
            case "none":
                self.register_buffer("pos_embed", torch.zeros(1, self.num_patches, dim))

    def _initialise(self, init: Init, std: float) -> None:
        truncate = nn.init.trunc_normal_ if init == "normal" else truncate_at_one_std
        if self.architecture.class_token:
            truncate(self.cls_token, std=0.02)
        if self.architecture.num_registers:
            truncate(self.registers, std=0.02)
        initialise(self, init, std)
        if init == "truncated_normal":
            rescale_by_depth(self.blocks)
        if self.pos_embed.requires_grad:
            truncate(self.pos_embed, std=0.02)

    @property
    def norm_eps(self) -> float:
        """The epsilon of every layer norm."""
        return cast(LayerNorm, self.blocks[0].norm1).eps

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def untrained(self) -> "Encoder":
        """A plain encoder of the same size, before any training."""
        return Encoder(self.variant, self.image_size)

    def layer_groups(self, decay: float) -> list[dict[str, Any]] | None:
        """Parameter groups with layer-wise decay, if the network has an order of layers of its own."""
        return None

    @property
    def num_prefix(self) -> int:
        """Tokens before the patches: the class token and the registers, as far as there are any."""
        return self.architecture.num_prefix

    @property
    def features(self) -> tuple[str, ...]:
        """What probes and k-NN can take from it; without a class token the mean stands for it (ADR 40)."""
        return ("cls", "mean", "last4") if self.architecture.class_token else ("mean",)

    @property
    def num_patches(self) -> int:
        """Patches in an image."""
        return self.grid**2

    @property
    def num_drop_path_uniforms(self) -> int:
        """Drop-path uniforms per image of one training pass."""
        return 2 * len(self.blocks)

    def forward(
        self,
        images: Float[Tensor, "batch 3 height width"],
        visible: Chosen | None = None,
        drop_path_uniforms: Float[Tensor, "batch numbers"] | None = None,
        fill: Fill | None = None,
    ) -> Float[Tensor, "batch tokens dim"]:
        """Encode the class token and the visible patches (all of them by default); every image shows equally many.

        Class token first, then registers, then patches, after the final norm unless that is the class token's alone.
        Positions and bias are interpolated for images of another size than the encoder's. Incomplete patches at the
        right and lower edges are ignored.
        """
        last = deque(self.run(images, visible, drop_path_uniforms, fill), maxlen=1).pop()
        return last if self.architecture.norms_class_only else self.norm(last)

    def patches(self, tokens: Float[Tensor, "batch tokens dim"]) -> Float[Tensor, "batch patches dim"]:
        """The tokens of patches, without class token and registers."""
        return tokens[:, self.num_prefix :]

    def outputs(self, tokens: Float[Tensor, "batch tokens dim"], norm: bool = True) -> Outputs:
        """A block's tokens as class token and patches, through the final norm as far as that is theirs."""
        normal = self.norm(tokens) if norm else tokens
        patches = tokens if self.architecture.norms_class_only else normal
        return Outputs(normal[:, : int(self.architecture.class_token)], self.patches(patches))

    def run(
        self,
        images: Float[Tensor, "batch 3 height width"],
        visible: Chosen | None = None,
        drop_path_uniforms: Float[Tensor, "batch numbers"] | None = None,
        fill: Fill | None = None,
    ) -> Iterator[Float[Tensor, "batch tokens dim"]]:
        """The tokens after each block, before the final norm; see `forward`."""
        grid = self.grid_of(images)
        tokens = self.embed(images, visible, fill)
        tokens = torch.cat([*(part.expand(len(tokens), -1, -1) for part in self.prefix), tokens], dim=1)
        tokens = self.norm_before(tokens)
        set_drop_path_uniforms(self.blocks, drop_path_uniforms)
        shared = self.bias(0, grid) if self.relative_position_bias == "shared" else None
        for number, block in enumerate(self.blocks):
            tokens = through(block, tokens, self.bias(number, grid) if shared is None else shared)
            yield tokens

    def embed(self, images: Tensor, visible: Chosen | None, fill: Fill | None) -> Float[Tensor, "batch tokens dim"]:
        """The chosen patches and their positions."""
        tokens = self.patch_embed(images).flatten(2).transpose(1, 2)
        if fill is not None:
            tokens = torch.where(fill.masked[:, :, None], fill.token.to(tokens.dtype), tokens)
        tokens = tokens + self._positions_on(self.grid_of(images))
        if visible is None:
            return tokens
        assert self.relative_position_bias == "none", "a bias needs every patch at its position"
        return gather(tokens, visible)

    def grid_of(self, images: Float[Tensor, "batch 3 height width"]) -> Grid:
        """Rows and columns of complete patches in images."""
        patch_size = self.variant.patch_size
        return images.shape[-2] // patch_size, images.shape[-1] // patch_size

    @property
    def prefix(self) -> list[Tensor]:
        """The inputs of the first block before the patches: [1, tokens, dim] each."""
        registers = [self.registers] if self.architecture.num_registers else []
        return [*([self.class_token] if self.architecture.class_token else []), *registers]

    @property
    def class_token(self) -> Float[Tensor, "1 1 dim"]:
        """The input of the first block: the token, plus its position if that is a separate parameter."""
        return self.cls_token + self.pos_embed[:, :1] if self.positions == "learnt_with_class" else self.cls_token

    def _positions_on(self, grid: Grid) -> Float[Tensor, "1 patches dim"]:
        own = self.grid, self.grid
        positions = self.pos_embed[:, 1:] if self.positions == "learnt_with_class" else self.pos_embed
        if grid == own:
            return positions
        if self.interpolation == "offset":
            return interpolate_with_offset(positions, grid, own)
        return resample_positions(positions, grid)

    def bias(self, block: int, grid: Grid | None = None) -> Float[Tensor, "1 heads tokens tokens"] | None:
        """A block's relative position bias, on this grid (the encoder's own by default); None without one."""
        if self.relative_position_bias == "none":
            return None
        return self.relative_position_biases[block if self.relative_position_bias == "block" else 0](grid)
