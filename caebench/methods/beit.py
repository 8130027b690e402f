"""BEiT (arXiv 2106.08254): a mask token replaces each masked patch in the encoder, which predicts the patch's code.

No absolute positions, one relative position bias for all blocks, layer scale, and a linear layer after the final norm.
Official modeling_pretrain.py and run_beit_pretraining.py.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from caebench.data.samples.masked import MaskedSample
from caebench.methods.masked import read_codes
from caebench.methods.method import Method
from caebench.models.initialisation import truncate_at_one_std
from caebench.models.tokenizer import Tokenizer
from caebench.models.vit import Encoder, Fill
from caebench.specs.methods.beit import BEiT
from caebench.specs.pretrain import Pretrain
from caebench.specs.variants import VARIANTS


class BEiTMethod(Method):
    """Encoder, mask token and a head over the vocabulary; the tokenizer is not part of the state."""

    def __init__(self, config: Pretrain, tokenizer: Tokenizer | None) -> None:
        super().__init__()
        assert isinstance(config.method, BEiT)
        self.config = config.method
        self.encoder = Encoder(
            VARIANTS[config.variant],
            config.image_size,
            layer_scale=self.config.layer_scale,
            drop_path=self.config.drop_path,
            relative_position_bias="shared",
            positions="none",
            init="truncated_normal",
            init_std=self.config.init_std,
        )
        self.mask_token = nn.Parameter(torch.zeros(1, 1, self.encoder.variant.dim))
        self.head = nn.Linear(self.encoder.variant.dim, self.config.target.vocabulary)
        truncate_at_one_std(self.mask_token)
        truncate_at_one_std(self.head.weight, self.config.init_std)
        nn.init.zeros_(self.head.bias)
        self.tokenizer = [tokenizer] if tokenizer else []  # a list: not a submodule, so neither trained nor saved

    @property
    def pretrained(self) -> Encoder:
        """The only encoder, without the mask token."""
        return self.encoder

    def make_sampler(self, config: Pretrain) -> MaskedSample:
        """One view, its mask, and the tokenizer's view of the same crop; colour jitter is applied before both."""
        own, encoder = self.config, self.encoder
        (tokenizer,) = self.tokenizer
        return MaskedSample(
            config, own.masking, encoder.grid, encoder.num_drop_path_uniforms, tokenizer.stride, own.color_jitter
        )

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The loss of one micro-batch, and the code accuracy."""
        masked = batch["masked"]
        codes = read_codes(batch, self.tokenizer)
        tokens = self.encode(batch["image"], masked, batch["drop_path_uniforms"])
        logits = self.head(tokens[:, 1:][masked]).float()
        accuracy = (logits.argmax(-1) == codes[masked]).float().mean()
        return {
            "loss": code_loss(logits, codes[masked]),
            "code_accuracy": accuracy,
            **self.collapse_metrics(tokens[:, 0]),
        }

    def encode(
        self,
        images: Float[Tensor, "batch 3 height width"],
        masked: Bool[Tensor, "batch patches"],
        drop_path_uniforms: Float[Tensor, "batch numbers"] | None = None,
    ) -> Float[Tensor, "batch tokens dim"]:
        """All tokens, with the mask token in place of masked patches (Sec. 2.2)."""
        return self.encoder(images, drop_path_uniforms=drop_path_uniforms, fill=Fill(masked, self.mask_token))


def code_loss(logits: Float[Tensor, "masked vocabulary"], codes: Int[Tensor, " masked"]) -> Float[Tensor, ""]:
    """Minus the mean log-likelihood of the codes of masked patches (Eq. 4)."""
    return F.cross_entropy(logits, codes)
