"""Backbones of dense tasks: features of four blocks of an encoder, resized to four scales.

Official `downstream_tasks/*/backbone/cae.py`: no final norm; transposed convolutions up, identity, max pooling down.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from caebench.models.vit import Encoder

DEPTHS = (1 / 3, 1 / 2, 2 / 3, 1)  # of the blocks whose outputs are taken: 3, 5, 7, 11 of 12 and 7, 11, 15, 23 of 24


class PyramidEncoder(nn.Module):
    """An encoder as a backbone: four feature maps from the outputs of four blocks."""

    def __init__(self, encoder: Encoder, norm: type[nn.Module]) -> None:
        super().__init__()
        encoder.norm = nn.Identity()
        self.encoder = encoder
        self.chosen = tuple(round(share * encoder.variant.depth) - 1 for share in DEPTHS)
        dim = encoder.variant.dim
        self.scales = nn.ModuleList(
            [
                nn.Sequential(_double(dim), norm(dim), nn.GELU(), _double(dim)),
                _double(dim),
                nn.Identity(),
                nn.MaxPool2d(kernel_size=2, stride=2),
            ]
        )

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> tuple[Tensor, ...]:
        """Four maps [batch, dim, height / s, width / s], s a quarter, half, one and two patches.

        In training, the drop-path uniforms come from torch's global generator.
        """
        drop_path_uniforms = (
            torch.rand(len(images), self.encoder.num_drop_path_uniforms, device=images.device)
            if self.training
            else None
        )
        maps = features(self.encoder, images, self.chosen, drop_path_uniforms)
        return tuple(scale(one) for scale, one in zip(self.scales, maps, strict=True))


class FrozenEncoder(nn.Module):
    """A frozen encoder as a backbone: one map, its final patch tokens followed by a trained batch norm."""

    def __init__(self, encoder: Encoder, norm: type[nn.Module]) -> None:
        super().__init__()
        self.encoder = encoder.requires_grad_(False)
        self.norm = norm(encoder.variant.dim)

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> tuple[Tensor]:
        """One map [batch, dim, height / patch, width / patch]; no gradient reaches the encoder."""
        return (self.norm(final_map(self.encoder, images)),)


@torch.no_grad()
def final_map(
    encoder: Encoder, images: Float[Tensor, "batch 3 height width"]
) -> Float[Tensor, "batch dim rows columns"]:
    """The patch tokens as the encoder gives them, as a map, without gradient."""
    (tokens,) = features(encoder, images, (encoder.variant.depth - 1,))
    if encoder.architecture.norms_class_only:
        return tokens
    return encoder.norm(tokens.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def features(
    encoder: Encoder,
    images: Float[Tensor, "batch 3 height width"],
    chosen: tuple[int, ...],
    drop_path_uniforms: Float[Tensor, "batch numbers"] | None = None,
) -> list[Float[Tensor, "batch dim rows columns"]]:
    """The patch tokens after each chosen block, as maps; positions and bias interpolated to the images' grid."""
    outputs = list(encoder.run(images, drop_path_uniforms=drop_path_uniforms))
    grid = encoder.grid_of(images)
    return [encoder.patches(outputs[number]).transpose(1, 2).unflatten(2, grid) for number in chosen]


def _double(dim: int) -> nn.Module:
    return nn.ConvTranspose2d(dim, dim, kernel_size=2, stride=2)
