"""Rotation prediction at work: network and loss."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from caebench.data.samples.labelled import LabelledSample
from caebench.data.transforms import CropAndFlip
from caebench.methods.method import Method
from caebench.models.tokenizer import Tokenizer
from caebench.models.vit import Encoder
from caebench.specs.pretrain import Pretrain

TURNS = 4


class RotationMethod(Method):
    """An encoder, and a linear layer that tells the turn from the class token."""

    def __init__(self, config: Pretrain, tokenizer: Tokenizer | None = None) -> None:
        super().__init__()
        self.encoder = Encoder(config.size, config.image_size, layer_scale=None)
        self.head = nn.Linear(config.size.dim, TURNS)

    @property
    def pretrained(self) -> Encoder:
        """The encoder that pretraining leaves."""
        return self.encoder

    def make_sampler(self, config: Pretrain) -> LabelledSample:
        """A crop of each image, from (seed, epoch, index)."""
        return LabelledSample(CropAndFlip(config.image_size, config.crop_scale_min), config.seed)

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Cross-entropy over the four turns of each image."""
        turned = turn(batch["image"])
        tokens = self.encoder(turned)[:, 0]
        turns = torch.arange(TURNS, device=turned.device).repeat_interleave(len(batch["image"]))
        return {"loss": F.cross_entropy(self.head(tokens).float(), turns), **self.collapse_metrics(tokens)}


def turn(images: Float[Tensor, "batch 3 size size"]) -> Float[Tensor, "four_batches 3 size size"]:
    """The images as they are, then by one, two and three quarter turns."""
    return torch.cat([torch.rot90(images, turns, (2, 3)) for turns in range(TURNS)])
