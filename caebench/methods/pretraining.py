"""CAE's pretraining step: target codes from the tokenizer's view, losses from the network, and signs of collapse."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from caebench.config.method import CAE, PixelTarget
from caebench.config.stage import Pretrain
from caebench.config.variants import VARIANTS
from caebench.methods.cae import CAEModel
from caebench.methods.masked import MaskedSample, normalize_patches, patchify, read_codes, split_patches
from caebench.methods.method import Method, rankme
from caebench.models.tokenizer import Tokenizer
from caebench.models.vit import Encoder, gather


class PretrainingStep(Method):
    """From a batch to the loss; the tokenizer stays outside the module's parameters."""

    def __init__(self, model: CAEModel, tokenizer: Tokenizer | None) -> None:
        super().__init__()
        self.model = model
        self.tokenizer = [tokenizer] if tokenizer else []  # a list: not a submodule, so neither trained nor saved

    @property
    def pretrained(self) -> Encoder:
        """The only one."""
        return self.model.encoder

    @property
    def network(self) -> nn.Module:
        """Encoder, regressor and decoder."""
        return self.model

    def make_sampler(self, config: Pretrain) -> MaskedSample:
        """One view and its mask; the tokenizer's view beside it."""
        tokenizer = self.tokenizer[0] if self.tokenizer else None
        return MaskedSample(config, self.model.config.masking, self.pretrained, self.model.num_draws, tokenizer)

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Losses and diagnostics of one micro-batch."""
        codes = self.targets(batch)
        outputs = self.model.losses(batch["image"], batch["masked"], codes, batch["draws"])
        return {
            "loss": outputs["total"],
            "reconstruction": outputs["reconstruction"].detach(),
            "alignment": outputs["alignment"].detach(),
            **(diagnostics(outputs, codes) if self.is_logged else {}),
        }

    @torch.no_grad()
    def targets(self, batch: dict[str, Tensor]) -> Tensor:
        """What the decoder must predict, for the masked patches image by image."""
        _, hidden = split_patches(batch["masked"], self.model.num_masked)
        if isinstance(target := self.model.config.target, PixelTarget):
            patches = patchify(batch["image"], self.model.encoder.variant.patch_size)
            values = normalize_patches(patches) if target.normalize_patches else patches
            return gather(values, hidden).flatten(0, 1)
        return gather(read_codes(batch, self.tokenizer), hidden).flatten()


def build_cae(config: Pretrain, tokenizer: Tokenizer | None) -> PretrainingStep:
    """The network at its start, and its tokenizer."""
    assert isinstance(config.method, CAE)
    return PretrainingStep(CAEModel(config.method, VARIANTS[config.variant], config.image_size), tokenizer)


@torch.no_grad()
def diagnostics(outputs: Any, codes: Int[Tensor, " masked"] | Float[Tensor, "masked values"]) -> dict[str, Tensor]:
    """What shows a collapse at once: token accuracy, alignment cosine, feature rank."""
    target = outputs["target"].float()
    shown = {
        "alignment_cosine": F.cosine_similarity(outputs["predicted"].float(), target, dim=-1).mean(),
        "rankme": rankme(outputs["encoded"][:, 0]),
    }
    if codes.ndim == 1:
        shown["token_accuracy"] = (outputs["logits"].argmax(-1) == codes).float().mean()
    return shown
