"""A plain implementation of CAE's network and step: the baseline of our speed-ups.

It reimplements the official code (Atten4Vis/CAE, models/modeling_cae*.py, furnace/engine_for_cae.py): a second encoder
for the alignment target, every patch embedded before most are dropped, boolean masks, attention as two matrix products
and a softmax, float32 or fp16 autocast with a loss scaler, PyTorch's default AdamW, and numbers read back in each step.
It is batched throughout, without loops over samples or heads. Its parameters have our names, so both start with equal
weights.
"""

from copy import deepcopy

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler
from torch.nn import functional as F

from caebench.methods.cae import CAEModel
from caebench.methods.masked import read_codes
from caebench.models.tokenizer import Tokenizer
from caebench.models.vit import LayerNorm, linear_rates, num_grid, sincos_positions
from caebench.specs.optim import AdamW, Optimization
from caebench.specs.targets import PixelTarget
from caebench.specs.variants import Variant
from caebench.training.optim import split_decay
from caebench.training.step import Batch

Tokens = Float[Tensor, "batch tokens dim"]
Uniforms = Float[Tensor, "batch numbers"]


class Attention(nn.Module):
    """Multi-head self-attention by its definition."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, tokens: Tokens) -> Tokens:
        """Attend from every token to all."""
        batch, num, dim = tokens.shape
        q, k, v = self.qkv(tokens).reshape(batch, num, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        return self.proj(attend(q, k, v).transpose(1, 2).reshape(batch, num, dim))


def attend(
    q: Float[Tensor, "batch heads queries head_dim"],
    k: Float[Tensor, "batch heads keys head_dim"],
    v: Float[Tensor, "batch heads keys head_dim"],
) -> Float[Tensor, "batch heads queries head_dim"]:
    """Softmax of scaled products, times the values."""
    logits = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
    return logits.softmax(dim=-1) @ v


class CrossAttention(nn.Module):
    """The regressor's attention by its definition."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q, self.k = nn.Linear(dim, dim), nn.Linear(dim, dim, bias=False)
        self.v, self.proj = nn.Linear(dim, dim), nn.Linear(dim, dim)

    def forward(self, queries: Tokens, keys: Tokens, values: Tokens) -> Tokens:
        """Attend from every query to all keys."""
        q, k, v = self._heads(self.q(queries)), self._heads(self.k(keys)), self._heads(self.v(values))
        return self.proj(attend(q, k, v).transpose(1, 2).flatten(2))

    def _heads(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:2], self.num_heads, -1).permute(0, 2, 1, 3)


class Mlp(nn.Module):
    """Two linear layers around a GELU."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, tokens: Tokens) -> Tokens:
        """Token by token."""
        return self.fc2(F.gelu(self.fc1(tokens)))


class Scale(nn.Module):
    """Layer scale."""

    def __init__(self, dim: int, value: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((dim,), value))

    def forward(self, tokens: Tokens) -> Tokens:
        """Scale each channel."""
        return tokens * self.gamma


def drop(branch: Tokens, uniforms: Float[Tensor, " batch"] | None, rate: float) -> Tokens:
    """Stochastic depth, decided by each sample's uniform number."""
    if uniforms is None or rate == 0.0:
        return branch
    return branch / (1.0 - rate) * (uniforms >= rate)[:, None, None]


class Block(nn.Module):
    """A pre-norm block."""

    def __init__(self, dim: int, num_heads: int, layer_scale: float, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.norm1, self.attn, self.ls1 = LayerNorm(dim), Attention(dim, num_heads), Scale(dim, layer_scale)
        self.norm2, self.mlp, self.ls2 = LayerNorm(dim), Mlp(dim), Scale(dim, layer_scale)

    def forward(self, tokens: Tokens, drop_path_uniforms: Uniforms | None) -> Tokens:
        """Attention and MLP, each with a shortcut."""
        first, second = (None, None) if drop_path_uniforms is None else drop_path_uniforms.unbind(1)
        tokens = tokens + drop(self.ls1(self.attn(self.norm1(tokens))), first, self.rate)
        return tokens + drop(self.ls2(self.mlp(self.norm2(tokens))), second, self.rate)


class RegressorBlock(nn.Module):
    """The official code's block: positions on keys and queries only, and the MLP's shortcut from normalised tokens."""

    def __init__(self, dim: int, num_heads: int, layer_scale: float, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.norm_q, self.norm_k, self.norm_v = LayerNorm(dim), LayerNorm(dim), LayerNorm(dim)
        self.attn, self.norm_mlp, self.mlp = CrossAttention(dim, num_heads), LayerNorm(dim), Mlp(dim)
        self.ls1, self.ls2 = Scale(dim, layer_scale), Scale(dim, layer_scale)

    def forward(
        self,
        masked: Tokens,
        visible: Tokens,
        masked_pos: Tokens,
        visible_pos: Tokens,
        drop_path_uniforms: Uniforms | None,
    ) -> Tokens:
        """Masked tokens attend to all."""
        first, second = (None, None) if drop_path_uniforms is None else drop_path_uniforms.unbind(1)
        context = torch.cat([visible, masked], dim=1)
        positions = torch.cat([visible_pos, masked_pos], dim=1)
        attended = self.attn(self.norm_q(masked + masked_pos), self.norm_k(context + positions), self.norm_v(context))
        masked = self.norm_mlp(masked + drop(self.ls1(attended), first, self.rate))
        return masked + drop(self.ls2(self.mlp(masked)), second, self.rate)


class Stack(nn.Module):
    """Blocks and a norm."""

    def __init__(self, kind: type[nn.Module], dim: int, num_heads: int, depth: int, scale: float, drop: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(kind(dim, num_heads, scale, rate) for rate in linear_rates(drop, depth))
        self.norm = LayerNorm(dim)

    def forward(self, tokens: Tokens, *context: Tokens, drop_path_uniforms: Uniforms | None = None) -> Tokens:
        """Run the blocks, each with its two uniforms per sample."""
        numbers = [None] * len(self.blocks) if drop_path_uniforms is None else drop_path_uniforms.split(2, dim=1)
        for block, pair in zip(self.blocks, numbers, strict=True):
            tokens = block(tokens, *context, pair)
        return self.norm(tokens)


class PlainEncoder(Stack):
    """Embed every patch, keep the visible ones."""

    pos_embed: Tensor

    def __init__(self, variant: Variant, image_size: int, scale: float, drop: float) -> None:
        dim, depth, num_heads, patch = variant
        super().__init__(Block, dim, num_heads, depth, scale, drop)
        self.patch_embed = nn.Conv2d(3, dim, patch, stride=patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.register_buffer("pos_embed", sincos_positions(num_grid(image_size, patch), dim))

    def encode(
        self,
        images: Float[Tensor, "batch 3 height width"],
        visible: Bool[Tensor, "batch patches"],
        drop_path_uniforms: Uniforms | None,
    ) -> Tokens:
        """Class token and visible patches."""
        tokens = self.patch_embed(images).flatten(2).transpose(1, 2) + self.pos_embed
        return self(
            torch.cat([self.cls_token.expand(len(tokens), -1, -1), keep(tokens, visible)], dim=1),
            drop_path_uniforms=drop_path_uniforms,
        )


def keep(tokens: Tokens, chosen: Bool[Tensor, "batch tokens"]) -> Tokens:
    """The chosen tokens of each image."""
    return tokens[chosen].reshape(len(tokens), -1, tokens.shape[-1])


class PlainDecoder(nn.Module):
    """Blocks and a linear head."""

    def __init__(self, dim: int, num_heads: int, depth: int, scale: float, drop: float, num_outputs: int) -> None:
        super().__init__()
        self.stack = Stack(Block, dim, num_heads, depth, scale, drop)
        self.head = nn.Linear(dim, num_outputs)


class PlainCAE(nn.Module):
    """Encoder, second encoder, regressor, decoder; only codes, squared-error alignment, one width, cross-attention."""

    latent_pos: Tensor

    def __init__(self, like: CAEModel) -> None:
        super().__init__()
        config, variant, image_size = like.config, like.encoder.variant, like.encoder.image_size
        assert not isinstance(config.target, PixelTarget) and config.align_loss == "mse" and config.latent_dim is None
        dim, heads, scale, drop = variant.dim, variant.num_heads, config.latent_layer_scale, config.drop_path
        self.config = config
        self.encoder = PlainEncoder(variant, image_size, config.layer_scale, drop)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.register_buffer("latent_pos", sincos_positions(num_grid(image_size, variant.patch_size), dim))
        self.regressor = Stack(RegressorBlock, dim, heads, config.regressor_depth, scale, drop)
        self.decoder = PlainDecoder(dim, heads, config.decoder_depth, scale, drop, config.target.vocabulary)
        self.alignment_encoder = deepcopy(self.encoder).requires_grad_(False)

    def copy_encoder(self) -> None:
        """Point the second encoder to the first one's weights, as the official code does before each step."""
        for theirs, ours in zip(self.alignment_encoder.parameters(), self.encoder.parameters(), strict=True):
            theirs.data = ours.data

    def forward(
        self,
        images: Float[Tensor, "batch 3 height width"],
        masked: Bool[Tensor, "batch patches"],
        drop_path_uniforms: Uniforms | None,
    ) -> tuple[Float[Tensor, "masked_patches outputs"], Tokens, Tokens]:
        """Logits, regressed and encoded representations of the masked patches."""
        parts = self._split(drop_path_uniforms)
        encoded = self.encoder.encode(images, ~masked, parts[0])
        with torch.no_grad():
            target = self.alignment_encoder.encode(images, masked, parts[1])[:, 1:]
        positions = self.latent_pos.expand(len(images), -1, -1)
        masked_pos, visible_pos = keep(positions, masked), keep(positions, ~masked)
        queries = self.mask_token.expand(len(images), masked_pos.shape[1], -1)
        predicted = self.regressor(queries, encoded[:, 1:], masked_pos, visible_pos, drop_path_uniforms=parts[2])
        decoded = self.decoder.stack(predicted + masked_pos, drop_path_uniforms=parts[3])
        return self.decoder.head(decoded).flatten(0, 1), predicted, target

    def _split(self, drop_path_uniforms: Uniforms | None) -> list[Uniforms] | list[None]:
        if drop_path_uniforms is None:
            return [None] * 4
        encoder = 2 * len(self.encoder.blocks)
        return list(
            drop_path_uniforms.split(
                [encoder, encoder, 2 * self.config.regressor_depth, 2 * self.config.decoder_depth], 1
            )
        )


class PlainStep:
    """A step of the official loop: forward, losses, scaled backward, clipping, update; three numbers read back."""

    def __init__(self, like: CAEModel, optimization: Optimization, device: torch.device, half: bool) -> None:
        self.model = PlainCAE(like).to(device).train()
        self.model.load_state_dict(like.state_dict(), strict=False)
        self.device, self.half, self.clip = device, half, optimization.clip_grad
        kind = optimization.optimizer
        assert isinstance(kind, AdamW)
        groups = [{**g, "weight_decay": kind.weight_decay * g["decays"]} for g in split_decay(self.model)]
        self.optimizer = torch.optim.AdamW(groups, optimization.lr, (kind.beta1, kind.beta2), kind.eps)
        self.scaler = GradScaler(device.type, enabled=half)
        self.parameters = [p for group in groups for p in group["params"]]

    @property
    def state(self) -> list[Tensor]:
        """Every tensor that persists between steps."""
        moments = [v for state in self.optimizer.state.values() for v in state.values() if isinstance(v, Tensor)]
        return [*self.model.parameters(), *self.model.buffers(), *moments]

    def __call__(self, batch: Batch, tokenizer: list[Tokenizer]) -> float:
        """One step; returns its loss."""
        with torch.no_grad():  # outside of autocast, as in the official code
            labels = read_codes(batch, tokenizer)[batch["masked"]]
        self.model.copy_encoder()
        with torch.autocast(self.device.type, torch.float16, enabled=self.half):
            logits, predicted, target = self.model(batch["image"], batch["masked"], batch["drop_path_uniforms"])
        reconstruction = F.cross_entropy(logits.float(), labels)
        alignment = F.mse_loss(predicted.float(), target.float())
        loss = reconstruction + self.model.config.align_weight * alignment
        value = loss.item()
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        if self.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        (logits.argmax(-1) == labels).float().mean().item()
        return value
