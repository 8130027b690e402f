"""One pretraining step: target codes from the tokenizer's view, losses from the method, and signs of collapse."""

from typing import Any

import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from caebench.config.method import PixelTarget
from caebench.config.stage import Pretrain
from caebench.data.loading import Key
from caebench.data.masking import sample_mask
from caebench.data.randomness import Purpose, derive, generator, seeded
from caebench.data.transforms import TwoViews
from caebench.methods.cae import CAEModel
from caebench.models.tokenizer import Tokenizer


class PretrainingStep(nn.Module):
    """From a batch to the loss; the tokenizer stays outside the module's parameters."""

    def __init__(self, model: CAEModel, tokenizer: Tokenizer | None) -> None:
        super().__init__()
        self.model = model
        self.tokenizer = [tokenizer] if tokenizer else []  # a list: not a submodule, so neither trained nor saved

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Losses and diagnostics of one micro-batch."""
        codes = self.targets(batch)
        outputs = self.model.losses(batch["image"], batch["masked"], codes, batch["draws"])
        return {
            "loss": outputs["total"],
            "reconstruction": outputs["reconstruction"].detach(),
            "alignment": outputs["alignment"].detach(),
            **diagnostics(outputs, codes),
        }

    @torch.no_grad()
    def targets(self, batch: dict[str, Tensor]) -> Tensor:
        """What the decoder must predict, for the masked patches image by image."""
        masked = batch["masked"]
        if not self.tokenizer:
            target = self.model.config.target
            assert isinstance(target, PixelTarget), "every other target comes with a tokenizer"
            patches = patchify(batch["image"], self.model.encoder.variant.patch_size)
            return (normalize_patches(patches) if target.normalize_patches else patches)[masked]
        return self.tokenizer[0].codes(batch["view"])[masked]


def patchify(images: Float[Tensor, "batch 3 height width"], size: int) -> Float[Tensor, "batch patches values"]:
    """Cut images into patches, row by row; a patch's values are ordered row, column, channel."""
    batch, channels, height, width = images.shape
    cut = images.reshape(batch, channels, height // size, size, width // size, size)
    return cut.permute(0, 2, 4, 3, 5, 1).reshape(batch, -1, size * size * channels)


def normalize_patches(patches: Float[Tensor, "batch patches values"]) -> Float[Tensor, "batch patches values"]:
    """Each patch by its own mean and deviation, as MAE's target (arXiv 2111.06377, Sec. 4.1)."""
    return (patches - patches.mean(-1, keepdim=True)) / (patches.var(-1, keepdim=True) + 1e-6).sqrt()


@torch.no_grad()
def diagnostics(outputs: Any, codes: Int[Tensor, " masked"] | Float[Tensor, "masked values"]) -> dict[str, Tensor]:
    """What shows a collapse at once: token accuracy, alignment cosine, feature rank."""
    target = outputs["target"].float()
    shown = {
        "alignment_cosine": F.cosine_similarity(outputs["predicted"].float(), target, dim=-1).mean(),
        "rankme": rankme(outputs["encoded"][:, 0].float()),
    }
    if codes.ndim == 1:
        shown["token_accuracy"] = (outputs["logits"].argmax(-1) == codes).float().mean()
    return shown


def rankme(features: Float[Tensor, "batch dim"]) -> Float[Tensor, ""]:
    """The effective rank of a batch of features: the exponential of their singular values' entropy (arXiv 2210.02885).

    A number of the micro-batch, at most its size: compare it along a run, not between batch sizes.
    """
    values = torch.linalg.svdvals(features.nan_to_num(0.0, 0.0, 0.0))  # the loop reports divergence, not LAPACK
    share = values / (values.sum() + 1e-7) + 1e-7
    return torch.exp(-(share * share.log()).sum())


class PretrainingSample:
    """Both views, the mask and the stochastic-depth numbers of one image, all from (seed, epoch, index)."""

    def __init__(self, config: Pretrain, model: CAEModel, tokenizer: Tokenizer | None) -> None:
        self.seed, self.masking = config.seed, config.method.masking
        self.grid, self.num_masked, self.num_draws = model.encoder.grid, model.num_masked, model.num_draws
        tokenizer_size = self.grid * tokenizer.stride if tokenizer else None
        self.views = TwoViews(config.image_size, tokenizer_size, config.crop_scale_min)

    def __call__(self, image: Image.Image, label: int, key: Key) -> dict[str, Any]:
        """The label is not used."""
        with seeded(derive(Purpose.VIEW, self.seed, *key)):
            view, tokenizer_view = self.views(image)
        rng = generator(Purpose.MASK, self.seed, *key)
        mask = sample_mask(self.masking, self.grid, self.num_masked, rng)
        draws = generator(Purpose.DEPTH, self.seed, *key).random(self.num_draws, dtype="float32")
        sample = {"image": view, "masked": torch.from_numpy(mask.flatten()), "draws": torch.from_numpy(draws)}
        return sample if tokenizer_view is None else {**sample, "view": tokenizer_view}
