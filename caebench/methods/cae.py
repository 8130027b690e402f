"""CAE: context autoencoder (arXiv 2202.03026v3, Sec. 3). The network, its two losses, and the step that trains it.

The encoder encodes the visible patches. The regressor predicts the representations of the masked patches from them. The
decoder maps those to the target. The alignment loss compares the regressed representations with the encoder's own
output on the masked patches, without gradient: there is one encoder, no copy and no moving average (ADR 2).

Not here: masks and crops (`data`), and the tokenizer that gives target codes (`models.tokenizer`).
"""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn
from torch.nn import functional as F

from caebench.data.samples.masked import MaskedSample
from caebench.methods.masked import normalize_patches, patchify, read_codes, split_patches
from caebench.methods.method import Method, rankme
from caebench.models.initialisation import initialise, truncate_at_one_std
from caebench.models.precision import in_float32
from caebench.models.regressor import CrossRegressor, Decoder, JointRegressor, rescale_latent_parts
from caebench.models.tokenizer import Tokenizer
from caebench.models.vit import Encoder, LayerNorm, gather, sincos_positions
from caebench.specs.methods.cae import CAE
from caebench.specs.pretrain import Pretrain
from caebench.specs.targets import PixelTarget
from caebench.specs.variants import VARIANTS, Variant


class CAEModel(nn.Module):
    """Encoder, regressor, decoder."""

    latent_pos: Tensor

    def __init__(self, config: CAE, variant: Variant, image_size: int) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(
            variant, image_size, layer_scale=config.layer_scale, drop_path=config.drop_path, init=config.init
        )
        dim = config.latent_dim or variant.dim
        heads = config.latent_num_heads or variant.num_heads
        scale, drop = config.latent_layer_scale, config.drop_path
        make_regressor = {"cross": CrossRegressor, "joint": JointRegressor}[config.regressor_attention]
        self.to_latent = (
            nn.Identity() if dim == variant.dim else nn.Sequential(nn.Linear(variant.dim, dim), LayerNorm(dim))
        )
        self.mask_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.register_buffer("latent_pos", sincos_positions(self.encoder.grid, dim))
        self.regressor = make_regressor(dim, heads, config.regressor_depth, scale, drop)
        self.decoder = Decoder(dim, heads, config.decoder_depth, scale, drop, num_outputs(config, variant))
        self._initialise()

    def _initialise(self) -> None:
        truncate_at_one_std(self.mask_token)
        for part in (self.to_latent, self.regressor, self.decoder):
            initialise(part, self.config.init)
        if self.config.init == "truncated_normal":
            rescale_latent_parts(self.regressor, self.decoder)

    @property
    def num_masked(self) -> int:
        """Masked patches in an image; the same in every image."""
        return self.config.masking.num_masked(self.encoder.num_patches)

    @property
    def num_drop_path_uniforms(self) -> int:
        """Drop-path uniforms per image of one training pass: both encoder passes, regressor, decoder."""
        return 2 * self.encoder.num_drop_path_uniforms + 2 * (self.config.regressor_depth + self.config.decoder_depth)

    def losses(
        self,
        images: Float[Tensor, "batch 3 height width"],
        masked: Bool[Tensor, "batch patches"],
        codes: Int[Tensor, " masked_patches"] | Float[Tensor, "masked_patches values"],
        drop_path_uniforms: Float[Tensor, "batch numbers"] | None = None,
    ) -> Mapping[str, Shaped[Tensor, "..."]]:
        """Both losses and the tensors that they were computed from.

        `codes` are the targets of the masked patches, image by image in row-major order. Keys: `reconstruction`,
        `alignment` (unweighted), `total` (CAE, Eq. 5), `logits` [batch * masked, outputs], `predicted` and `target`
        [batch, masked, dim] (the regressed and the encoded representations), `encoded` [batch, 1 + visible, dim].
        """
        for_encoder, for_target, for_regressor, for_decoder = self._split_uniforms(drop_path_uniforms)
        shown, hidden = split_patches(masked, self.num_masked)
        encoded = self.encoder(images, shown, for_encoder)
        target = self._alignment_target(images, hidden, for_target)
        positions = self.latent_pos.expand(len(images), -1, -1)
        masked_pos, visible_pos = gather(positions, hidden), gather(positions, shown)
        visible = self.to_latent(encoded)[:, 1:]  # the class token is not part of regression
        queries = self.mask_token.expand(len(images), masked_pos.shape[1], -1)
        predicted = self.regressor(queries, visible, masked_pos, visible_pos, for_regressor)
        logits = self.decoder(predicted, masked_pos, for_decoder).flatten(0, 1)
        reconstruction = self._reconstruction_loss(logits.float(), codes)
        alignment = self._alignment_loss(predicted.float(), target.float())
        total = self.config.reconstruction_weight * reconstruction + self.config.align_weight * alignment
        return {
            "reconstruction": reconstruction,
            "alignment": alignment,
            "total": total,
            "logits": logits,
            "predicted": predicted,
            "target": target,
            "encoded": encoded,
        }

    @torch.no_grad()
    def _alignment_target(self, images: Tensor, hidden: Tensor, drop_path_uniforms: Tensor | None) -> Tensor:
        """The encoder's own view of the masked patches, without gradient (CAE, Sec. 3.2)."""
        return self.to_latent(self.encoder(images, hidden, drop_path_uniforms))[:, 1:]

    def _reconstruction_loss(self, logits: Tensor, codes: Tensor) -> Tensor:
        """Cross-entropy for codes (CAE, Eq. 3), squared error for pixels; the mean over masked patches."""
        return F.cross_entropy(logits, codes) if codes.ndim == 1 else F.mse_loss(logits, codes)

    def _alignment_loss(self, predicted: Tensor, target: Tensor) -> Tensor:
        """Squared error (CAE, Eq. 4), or InfoNCE among the masked patches of the same image (ADR 7)."""
        if self.config.align_loss == "mse":
            return F.mse_loss(predicted, target)
        return contrast_within_images(predicted, target, self.config.contrastive_temperature)

    def _split_uniforms(self, drop_path_uniforms: Tensor | None) -> tuple[Tensor | None, ...]:
        if drop_path_uniforms is None:
            return None, None, None, None
        encoder = self.encoder.num_drop_path_uniforms
        sizes = [encoder, encoder, 2 * self.config.regressor_depth, 2 * self.config.decoder_depth]
        parts = list(drop_path_uniforms.split(sizes, dim=1))
        return parts[0], parts[1] if self.config.target_drop_path else None, parts[2], parts[3]


@in_float32
def contrast_within_images(
    predicted: Float[Tensor, "batch masked dim"], target: Float[Tensor, "batch masked dim"], temperature: float
) -> Float[Tensor, ""]:
    """InfoNCE: each prediction must find its own target among those of its image."""
    similarity = F.normalize(predicted, dim=-1) @ F.normalize(target, dim=-1).transpose(1, 2)
    labels = torch.arange(similarity.shape[-1], device=similarity.device).repeat(len(similarity))
    return F.cross_entropy(similarity.flatten(0, 1) / temperature, labels)


def num_outputs(config: CAE, variant: Variant) -> int:
    """The width of the decoder's head: one logit per code, or one value per pixel and channel."""
    return 3 * variant.patch_size**2 if isinstance(config.target, PixelTarget) else config.target.vocabulary


class CAEMethod(Method):
    """From a batch to the loss; the tokenizer is not part of the module's parameters."""

    def __init__(self, config: Pretrain, tokenizer: Tokenizer | None = None) -> None:
        super().__init__()
        assert isinstance(config.method, CAE)
        self.model = CAEModel(config.method, VARIANTS[config.variant], config.image_size)
        self.tokenizer = [tokenizer] if tokenizer else []  # a list: not a submodule, so neither trained nor saved

    @property
    def pretrained(self) -> Encoder:
        """The only encoder."""
        return self.model.encoder

    @property
    def network(self) -> nn.Module:
        """Encoder, regressor and decoder."""
        return self.model

    def make_sampler(self, config: Pretrain) -> MaskedSample:
        """One view, its mask, and the tokenizer's view."""
        stride = self.tokenizer[0].stride if self.tokenizer else None
        return MaskedSample(
            config, self.model.config.masking, self.pretrained.grid, self.model.num_drop_path_uniforms, stride
        )

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Losses and diagnostics of one micro-batch."""
        codes = self.targets(batch)
        outputs = self.model.losses(batch["image"], batch["masked"], codes, batch["drop_path_uniforms"])
        return {
            "loss": outputs["total"],
            "reconstruction": outputs["reconstruction"].detach(),
            "alignment": outputs["alignment"].detach(),
            **(diagnostics(outputs, codes) if self.is_logged else {}),
        }

    @torch.no_grad()
    def targets(self, batch: dict[str, Tensor]) -> Tensor:
        """The decoder's targets, for the masked patches image by image."""
        _, hidden = split_patches(batch["masked"], self.model.num_masked)
        if isinstance(target := self.model.config.target, PixelTarget):
            patches = patchify(batch["image"], self.model.encoder.variant.patch_size)
            values = normalize_patches(patches) if target.normalize_patches else patches
            return gather(values, hidden).flatten(0, 1)
        return gather(read_codes(batch, self.tokenizer), hidden).flatten()


@torch.no_grad()
def diagnostics(outputs: Any, codes: Int[Tensor, " masked"] | Float[Tensor, "masked values"]) -> dict[str, Tensor]:
    """Collapse metrics: code accuracy, alignment cosine, effective rank of the features."""
    target = outputs["target"].float()
    shown = {
        "alignment_cosine": F.cosine_similarity(outputs["predicted"].float(), target, dim=-1).mean(),
        "rankme": rankme(outputs["encoded"][:, 0]),
    }
    if codes.ndim == 1:
        shown["code_accuracy"] = (outputs["logits"].argmax(-1) == codes).float().mean()
    return shown
