"""DeiT's supervised training (arXiv 2012.12877, Table 9) in the place of a pretraining: what labels alone give.

A linear layer on the class token, mixup and cutmix, repeated augmentation. Not here: distillation, and the moving
average of the weights that main.py keeps beside the published ones.
"""

from typing import Any

from jaxtyping import Float
from timm.loss.cross_entropy import SoftTargetCrossEntropy
from torch import Tensor, nn

from caebench.config.compared import DeiT
from caebench.config.data import size_of
from caebench.config.stage import Pretrain
from caebench.config.variants import VARIANTS
from caebench.data.mixing import GroupMixup, MixedSample
from caebench.methods.method import Method
from caebench.models.tokenizer import Tokenizer
from caebench.models.vit import Encoder, initialise


class DeiTMethod(Method):
    """Encoder and classifier."""

    def __init__(self, config: Pretrain, tokenizer: Tokenizer | None = None) -> None:
        super().__init__()
        assert isinstance(config.method, DeiT)
        self.config, num_classes = config.method, size_of(config.data).num_classes
        self.encoder = Encoder(
            VARIANTS[config.variant],
            config.image_size,
            layer_scale=None,
            drop_path=self.config.drop_path,
            positions="learnt_with_class",
            init="normal",
            init_std=self.config.init_std,
        )
        self.head = nn.Linear(self.encoder.variant.dim, num_classes)
        initialise(self.head, "normal", self.config.init_std)
        self.mix = GroupMixup(self.config.mixing, self.config.label_smoothing, num_classes)
        self.multiple_of = min(self.config.mixing.group, config.optimization.global_batch)
        self.repeats = self.config.repeats

    @property
    def pretrained(self) -> Encoder:
        """The only one; the classifier stays behind."""
        return self.encoder

    def make_sampler(self, config: Pretrain) -> MixedSample:
        """One augmented view and its label."""
        return MixedSample(config, self.config, self.encoder.num_draws)

    def forward(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """The loss of one micro-batch: whole groups of images that mix."""
        images, targets = self.mix(batch)
        features = self.encoder(images, draws=batch["draws"])[:, 0]
        return {"loss": class_loss(self.head(features).float(), targets), **self.signs(features)}


def class_loss(logits: Float[Tensor, "batch classes"], targets: Float[Tensor, "batch classes"]) -> Float[Tensor, ""]:
    """Cross-entropy with soft targets, which mixing and label smoothing make (Table 9)."""
    return SoftTargetCrossEntropy()(logits, targets)
