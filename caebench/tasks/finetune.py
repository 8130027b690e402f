"""End-to-end fine-tuning for classification: ImageNet, and with the same recipe Food-101, Clipart, Sketch (ADR 5)."""

from typing import Any

from timm.loss.cross_entropy import SoftTargetCrossEntropy
from torch import Tensor, nn

from caebench.checkpoints.encoder_file import read_encoder, stats_of
from caebench.data.loading import Samples
from caebench.data.mixing import GroupMixup
from caebench.data.randomness import Purpose, derive, seeded
from caebench.data.samples.labelled import LabelledSample
from caebench.data.samples.mixed import MixedSample
from caebench.data.transforms import evaluation
from caebench.files.layout import ENCODER
from caebench.models.heads import FinetuneHead
from caebench.models.vit import Encoder
from caebench.specs.evaluations.finetune import Finetune
from caebench.tasks.probes import Evaluator, select
from caebench.training.optim import ParamGroup, encoder_groups, split_decay
from caebench.training.run import Run
from caebench.training.step import Batch
from caebench.training.trainer import Training, fit


class Classifier(nn.Module):
    """The encoder up to its last block, and a head on the mean of the patches."""

    def __init__(self, encoder: Encoder, head: FinetuneHead) -> None:
        super().__init__()
        if not isinstance(encoder.norm, nn.Identity):  # a network of stages has none of its own
            head.norm.load_state_dict(encoder.norm.state_dict())  # official: `norm` becomes `fc_norm`
        encoder.norm = nn.Identity()
        self.encoder, self.head = encoder, head

    def forward(self, images: Tensor, drop_path_uniforms: Tensor | None = None) -> Tensor:
        """Logits."""
        return self.head(self.encoder(images, drop_path_uniforms=drop_path_uniforms))


class FinetuneStep(nn.Module):
    """Mix images in groups, then classify with soft targets."""

    def __init__(self, classifier: Classifier, config: Finetune, num_classes: int) -> None:
        super().__init__()
        self.classifier = classifier
        self.mix = GroupMixup(config.mixing, config.label_smoothing, num_classes)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The loss of one micro-batch."""
        images, targets = self.mix(batch)
        return {"loss": SoftTargetCrossEntropy()(self.classifier(images, batch["drop_path_uniforms"]).float(), targets)}


def finetune(config: Finetune, run: Run) -> dict[str, Any]:
    """Fine-tune all weights and evaluate."""
    train, val = run.open_split(config.data, "train"), run.open_split(config.data, "val")
    num_classes = config.data.size.num_classes
    encoder = read_encoder(
        run.inputs["encoder"] / ENCODER,
        config.image_size,
        drop_path=config.drop_path,
        relative_position_bias=config.relative_position_bias,
    )
    run.adapt(encoder.blocks)
    with seeded(derive(Purpose.INITIALISATION, config.seed)):
        head = FinetuneHead(encoder.variant.dim, num_classes, config.head_init_scale, encoder.num_prefix)
        classifier = Classifier(encoder, head)
    evaluator = Evaluator(
        lambda batch: classifier(batch["image"]).float(),
        Samples(val, LabelledSample(evaluation(config.image_size, stats_of(encoder)), 0)),
        run,
        config.optimization.precision,
    )
    training = Training(
        module=FinetuneStep(classifier, config, num_classes),
        groups=layer_groups(classifier, config.layer_decay),
        config=config.optimization,
        samples=Samples(train, MixedSample(config, config, encoder.num_drop_path_uniforms, stats_of(encoder))),
        seed=config.seed,
        per_device=run.site.most_images(encoder.variant),
        batch_multiple=min(config.mixing.group, config.optimization.global_batch),
        after_epoch=evaluator,
        finish=lambda history: select(run, history, config.selection, evaluator.num_images),
    )
    return fit(training, run)


def layer_groups(classifier: Classifier, decay: float) -> list[ParamGroup]:
    """The head at the full rate, the encoder with layer-wise decay."""
    return split_decay(classifier.head) + encoder_groups(classifier.encoder, decay)
