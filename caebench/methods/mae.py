"""MAE: masked autoencoder (arXiv 2111.06377). Encode a random quarter, decode the pixels of the rest.

The decoder is small and reads all positions: visible representations, and a mask token for each masked patch, all with
position embeddings. The loss is over masked patches only (Sec. 3). Sizes and initialisation: official models_mae.py.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from caebench.data.samples.masked import MaskedSample
from caebench.methods.masked import normalize_patches, patchify
from caebench.methods.method import Method
from caebench.models.initialisation import initialise
from caebench.models.regressor import SelfAttentionStack
from caebench.models.tokenizer import Tokenizer
from caebench.models.vit import Encoder, sincos_positions
from caebench.specs.methods.mae import MAE
from caebench.specs.pretrain import Pretrain
from caebench.specs.variants import VARIANTS


class MAEDecoder(nn.Module):
    """From representations of visible patches to pixels of the masked ones."""

    positions: Tensor

    def __init__(self, config: MAE, encoder: Encoder) -> None:
        super().__init__()
        dim = config.decoder_dim
        self.embed = nn.Linear(encoder.variant.dim, dim)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.register_buffer("positions", sincos_positions(encoder.grid, dim))
        self.stack = SelfAttentionStack(dim, config.decoder_num_heads, config.decoder_depth, None, 0.0)
        self.head = nn.Linear(dim, 3 * encoder.variant.patch_size**2)
        initialise(self)
        nn.init.normal_(self.mask_token, std=0.02)

    def forward(
        self, encoded: Float[Tensor, "batch visible_and_class dim"], masked: Bool[Tensor, "batch patches"]
    ) -> Float[Tensor, "masked values"]:
        """Predict the masked patches, image by image in row-major order."""
        encoded = self.embed(encoded)
        places = self.mask_token.to(encoded.dtype).expand(*masked.shape, -1)
        tokens = places.masked_scatter(~masked[:, :, None], encoded[:, 1:]) + self.positions
        decoded = self.stack(torch.cat([encoded[:, :1], tokens], dim=1))
        return self.head(decoded[:, 1:][masked])


class MAEMethod(Method):
    """Encoder and decoder."""

    def __init__(self, config: Pretrain, tokenizer: Tokenizer | None = None) -> None:
        super().__init__()
        assert isinstance(config.method, MAE)
        self.config = config.method
        variant = VARIANTS[config.variant]
        self.encoder = Encoder(variant, config.image_size, layer_scale=None, init="xavier_patches")
        nn.init.normal_(self.encoder.cls_token, std=0.02)
        self.decoder = MAEDecoder(self.config, self.encoder)

    @property
    def pretrained(self) -> Encoder:
        """The only encoder."""
        return self.encoder

    def make_sampler(self, config: Pretrain) -> MaskedSample:
        """One view and its mask."""
        return MaskedSample(config, self.config.masking, self.encoder.grid, num_drop_path_uniforms=0)

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The reconstruction loss of one micro-batch."""
        images, masked = batch["image"], batch["masked"]
        encoded = self.encoder(images, ~masked)
        patches = patchify(images, self.encoder.variant.patch_size)
        loss = pixel_loss(self.decoder(encoded, masked).float(), patches[masked], self.config.normalize_patches)
        return {"loss": loss, **self.collapse_metrics(encoded[:, 0])}


def pixel_loss(
    predicted: Float[Tensor, "masked values"], patches: Float[Tensor, "masked values"], normalize: bool
) -> Float[Tensor, ""]:
    """Mean squared error on masked patches, each normalised by its own mean and variance (Sec. 3, 4.1)."""
    return F.mse_loss(predicted, normalize_patches(patches) if normalize else patches)
