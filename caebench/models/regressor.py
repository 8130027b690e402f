"""CAE's latent contextual regressor and its decoder (CAE, Sec. 3.2; block details: official modeling_cae_helper.py).

The regressor predicts the representations of the masked patches from those of the visible ones. Its block differs
from the paper's text in two ways that the official code has, and that parity needs (ADR 2): positions are added to
keys but not to values, and the MLP's residual starts from the normalised activations.
"""

import torch
from jaxtyping import Float
from timm.layers.layer_scale import LayerScale
from timm.layers.mlp import Mlp
from torch import Tensor, nn

from caebench.models.attention import CrossAttention, SampleDropPath
from caebench.models.initialisation import rescale_by_depth
from caebench.models.vit import LayerNorm, linear_rates, make_block, set_drop_path_uniforms

Masked = Float[Tensor, "batch masked dim"]
Visible = Float[Tensor, "batch visible dim"]


class RegressorBlock(nn.Module):
    """Masked queries attend to visible and masked tokens; visible tokens are never updated."""

    def __init__(self, dim: int, num_heads: int, layer_scale: float, drop_path: float) -> None:
        super().__init__()
        self.norm_q, self.norm_k, self.norm_v = LayerNorm(dim), LayerNorm(dim), LayerNorm(dim)
        self.norm_mlp = LayerNorm(dim)
        self.attn = CrossAttention(dim, num_heads)
        self.mlp = Mlp(dim, 4 * dim)
        self.ls1, self.ls2 = LayerScale(dim, layer_scale), LayerScale(dim, layer_scale)
        self.drop_path1, self.drop_path2 = SampleDropPath(drop_path), SampleDropPath(drop_path)

    def forward(self, masked: Masked, visible: Visible, masked_pos: Masked, visible_pos: Visible) -> Masked:
        """One step of regression."""
        context = torch.cat([visible, masked], dim=1)
        keys = context + torch.cat([visible_pos, masked_pos], dim=1)
        attended = self.attn(self.norm_q(masked + masked_pos), self.norm_k(keys), self.norm_v(context))
        masked = self.norm_mlp(masked + self.drop_path1(self.ls1(attended)))
        return masked + self.drop_path2(self.ls2(self.mlp(masked)))


class CrossRegressor(nn.Module):
    """Cross-attention from mask queries to the context: the regressor of the paper."""

    def __init__(self, dim: int, num_heads: int, depth: int, layer_scale: float, drop_path: float) -> None:
        super().__init__()
        rates = linear_rates(drop_path, depth)
        self.blocks = nn.ModuleList(RegressorBlock(dim, num_heads, layer_scale, rate) for rate in rates)
        self.norm = LayerNorm(dim)

    def forward(
        self,
        masked: Masked,
        visible: Visible,
        masked_pos: Masked,
        visible_pos: Visible,
        drop_path_uniforms: Tensor | None,
    ) -> Masked:
        """Predict the representations of the masked patches from mask queries and visible representations."""
        set_drop_path_uniforms(self.blocks, drop_path_uniforms)
        for block in self.blocks:
            masked = block(masked, visible, masked_pos, visible_pos)
        return self.norm(masked)


class SelfAttentionStack(nn.Module):
    """Plain blocks and a final norm: the body of CAE's decoder and of MAE's, and the joint regressor's."""

    def __init__(self, dim: int, num_heads: int, depth: int, layer_scale: float | None, drop_path: float) -> None:
        super().__init__()
        rates = linear_rates(drop_path, depth)
        self.blocks = nn.ModuleList(make_block(dim, num_heads, layer_scale, rate) for rate in rates)
        self.norm = LayerNorm(dim)

    def forward(self, tokens: Float[Tensor, "batch tokens dim"], drop_path_uniforms: Tensor | None = None) -> Tensor:
        """Run the blocks."""
        set_drop_path_uniforms(self.blocks, drop_path_uniforms)
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)


class JointRegressor(nn.Module):
    """Joint self-attention over visible and masked tokens (CAE, Sec. 5.1); only the masked ones are returned."""

    def __init__(self, dim: int, num_heads: int, depth: int, layer_scale: float, drop_path: float) -> None:
        super().__init__()
        self.stack = SelfAttentionStack(dim, num_heads, depth, layer_scale, drop_path)

    def forward(
        self,
        masked: Masked,
        visible: Visible,
        masked_pos: Masked,
        visible_pos: Visible,
        drop_path_uniforms: Tensor | None,
    ) -> Masked:
        """Predict the representations of the masked patches; positions are added once, at the input."""
        tokens = torch.cat([visible + visible_pos, masked + masked_pos], dim=1)
        return self.stack(tokens, drop_path_uniforms)[:, visible.shape[1] :]


class Decoder(nn.Module):
    """From predicted representations to one prediction of the target per masked patch; depth 0 is norm and head."""

    def __init__(
        self, dim: int, num_heads: int, depth: int, layer_scale: float, drop_path: float, num_outputs: int
    ) -> None:
        super().__init__()
        self.stack = SelfAttentionStack(dim, num_heads, depth, layer_scale, drop_path)
        self.head = nn.Linear(dim, num_outputs)

    def forward(
        self, predicted: Masked, masked_pos: Masked, drop_path_uniforms: Tensor | None
    ) -> Float[Tensor, "batch masked outputs"]:
        """Decode each masked patch's representation."""
        return self.head(self.stack(predicted + masked_pos, drop_path_uniforms))


def rescale_latent_parts(regressor: CrossRegressor | JointRegressor, decoder: Decoder) -> None:
    """BEiT's depth rescaling, with separate block numbers in the regressor and in the decoder."""
    blocks = regressor.blocks if isinstance(regressor, CrossRegressor) else regressor.stack.blocks
    for stack in (blocks, decoder.stack.blocks):
        rescale_by_depth(stack)
