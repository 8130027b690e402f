"""Tokenizers: from images to one code per patch. CAE's targets are these codes (CAE, Sec. 3.3).

`DALLEEncoder` is the architecture of DALL-E's published encoder (arXiv 2102.12092, appendix A), whose weights users
provide; `DiscreteVAE` is trained here. Both read images in 0..1 and have a stride of 8 or less. Codes do not depend on
the precision of the pretraining: logits are float32, as in the official code (ADR 8).
"""

from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from caebench.models.precision import without_autocast
from caebench.specs.inputs.tokenizer import DVAE

Images = Float[Tensor, "batch 3 height width"]
Codes = Int[Tensor, "batch patches"]
MARGIN = 0.1  # pixels are mapped to 0.1..0.9, where their logits are finite (DALL-E, appendix A.3)


def inside(images: Images) -> Images:
    """Pixels in 0..1, mapped to MARGIN..1 - MARGIN."""
    return (1.0 - 2.0 * MARGIN) * images + MARGIN


class _DALLEBlock(nn.Module):
    """Four convolutions at a quarter of the width, scaled by 1/64, with a shortcut."""

    def __init__(self, num_in: int, num_out: int) -> None:
        super().__init__()
        hidden = num_out // 4
        widths = [num_in, hidden, hidden, hidden, num_out]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(a, b, 1 if last else 3, padding=0 if last else 1)
            for a, b, last in zip(widths, widths[1:], (False, False, False, True), strict=False)
        )
        self.shortcut = nn.Identity() if num_in == num_out else nn.Conv2d(num_in, num_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        branch = x
        for convolution in self.convolutions:
            branch = convolution(branch.relu())
        return self.shortcut(x) + branch / 64.0  # 64: the square of the eight blocks


class DALLEEncoder(nn.Module):
    """Stride 8, 8192 codes: a 7x7 convolution, four groups of two blocks at widths 1, 2, 4, 8 times 256."""

    stride = 8

    def __init__(self, vocabulary: int = 8192, width: int = 256) -> None:
        super().__init__()
        widths = [width, width, 2 * width, 4 * width, 8 * width]
        self.stem = nn.Conv2d(3, width, 7, padding=3)
        self.groups = nn.ModuleList(nn.Sequential(_DALLEBlock(a, b), _DALLEBlock(b, b)) for a, b in pairwise(widths))
        self.head = nn.Conv2d(widths[-1], vocabulary, 1)

    def forward(self, images: Images) -> Float[Tensor, "batch vocabulary rows columns"]:
        """Logits of the codes, in float32; pixels are first mapped to 0.1..0.9 (DALL-E, appendix A.3)."""
        # On a GPU all but the last of the published encoder's convolutions are float16 (official dall_e/utils.py).
        with torch.autocast(images.device.type, torch.float16, enabled=images.is_cuda):
            x = self.stem(inside(images))
            for number, group in enumerate(self.groups):
                x = group(x)
                if number < 3:
                    x = F.max_pool2d(x, 2)
        with without_autocast(images.device):
            return self.head(x.float().relu())

    @torch.no_grad()
    def codes(self, images: Images) -> Codes:
        """The most likely code of each patch, row by row."""
        return self(images).argmax(dim=1).flatten(1)


class _ResidualBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Conv2d(width, width, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(width, width, 3, padding=1), nn.ReLU()),
            nn.Conv2d(width, width, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class DiscreteVAE(nn.Module):
    """A discrete VAE with Gumbel-softmax (DALL-E, Sec. 2.1; sizes of the official CAE code's own tokenizer)."""

    def __init__(self, config: DVAE) -> None:
        super().__init__()
        width, downs = config.hidden_dim, config.num_downsamplings
        self.stride = 2**downs
        encoder: list[nn.Module] = []
        for channels in [3, *[width] * (downs - 1)]:
            encoder += [nn.Conv2d(channels, width, 4, stride=2, padding=1), nn.ReLU()]
        encoder += [_ResidualBlock(width) for _ in range(config.num_residual_blocks)]
        self.encoder = nn.Sequential(*encoder, nn.Conv2d(width, config.vocabulary, 1))
        self.codebook = nn.Embedding(config.vocabulary, config.codebook_dim)
        decoder: list[nn.Module] = [nn.Conv2d(config.codebook_dim, width, 1)]
        decoder += [_ResidualBlock(width) for _ in range(config.num_residual_blocks)]
        for _ in range(downs):
            decoder += [nn.ConvTranspose2d(width, width, 4, stride=2, padding=1), nn.ReLU()]
        self.decoder = nn.Sequential(*decoder, nn.Conv2d(width, 6, 1))

    def logits(self, images: Images) -> Float[Tensor, "batch vocabulary rows columns"]:
        """Logits of the codes; pixels are first mapped to -1..1."""
        return self.encoder(2.0 * images - 1.0)

    def decode(self, weights: Float[Tensor, "batch vocabulary rows columns"]) -> tuple[Images, Images]:
        """Location and log scale of each value's logit-Laplace distribution, from code weights, soft or one-hot."""
        location, log_scale = self.decoder(torch.einsum("bvhw,vd->bdhw", weights, self.codebook.weight)).chunk(2, dim=1)
        return location, log_scale

    @torch.no_grad()
    def codes(self, images: Images) -> Codes:
        """The most likely code of each patch, row by row; in float32."""
        with without_autocast(images.device):
            return self.logits(images).argmax(dim=1).flatten(1)

    @torch.no_grad()
    def reconstruct(self, images: Images) -> Images:
        """Images decoded from their codes."""
        logits = self.logits(images)
        one_hot = F.one_hot(logits.argmax(dim=1), logits.shape[1]).permute(0, 3, 1, 2)
        location, _ = self.decode(one_hot.to(logits.dtype))
        return ((location.float().sigmoid() - MARGIN) / (1.0 - 2.0 * MARGIN)).clamp(0.0, 1.0)


Tokenizer = DALLEEncoder | DiscreteVAE
