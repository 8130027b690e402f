"""DeiT's supervised training (arXiv 2012.12877, Table 9) as a pretraining: the supervised baseline.

A linear layer on the class token, mixup and cutmix, repeated augmentation. Not here: distillation, and the moving
average of the weights that main.py also keeps.
"""

from typing import Any

from jaxtyping import Float
from timm.loss.cross_entropy import SoftTargetCrossEntropy
from torch import Tensor, nn

from caebench.data.mixing import GroupMixup
from caebench.data.samples.mixed import MixedSample
from caebench.methods.method import Method
from caebench.models.initialisation import initialise
from caebench.models.tokenizer import Tokenizer
from caebench.models.vit import Encoder
from caebench.specs.methods.deit import DeiT
from caebench.specs.pretrain import Pretrain
from caebench.specs.variants import VARIANTS


class DeiTMethod(Method):
    """Encoder and classifier."""

    def __init__(self, config: Pretrain, tokenizer: Tokenizer | None = None) -> None:
        super().__init__()
        assert isinstance(config.method, DeiT)
        self.config, num_classes = config.method, config.data.size.num_classes
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
        self.batch_multiple = min(self.config.mixing.group, config.optimization.global_batch)
        self.repeats = self.config.repeats

    @property
    def pretrained(self) -> Encoder:
        """The only encoder, without the classifier."""
        return self.encoder

    def make_sampler(self, config: Pretrain) -> MixedSample:
        """One augmented view and its label."""
        return MixedSample(config, self.config, self.encoder.num_drop_path_uniforms)

    def forward(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """The loss of one micro-batch, which consists of complete mixing groups."""
        images, targets = self.mix(batch)
        features = self.encoder(images, drop_path_uniforms=batch["drop_path_uniforms"])[:, 0]
        return {"loss": class_loss(self.head(features).float(), targets), **self.collapse_metrics(features)}


def class_loss(logits: Float[Tensor, "batch classes"], targets: Float[Tensor, "batch classes"]) -> Float[Tensor, ""]:
    """Cross-entropy with the soft targets of mixing and label smoothing (Table 9)."""
    return SoftTargetCrossEntropy()(logits, targets)
