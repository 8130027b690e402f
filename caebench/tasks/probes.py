"""Linear and attentive probes: a frozen encoder, a head that trains (CAE, Sec. 4.2).

The encoder runs in chunks that fit the device, the head on the whole share of the batch at once: so the batch norm
always sees the global batch, whatever the memory (ADR 4).
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from caebench.checkpoints.encoder_file import read_encoder, stats_of
from caebench.data.loading import Samples
from caebench.data.randomness import Purpose, derive, seeded
from caebench.data.samples.labelled import LabelledSample
from caebench.data.samples.shared_pass import Augmentation
from caebench.data.transforms import evaluation
from caebench.files.layout import ENCODER
from caebench.models.heads import AttentiveHead, LinearHead
from caebench.models.vit import Encoder, Outputs
from caebench.specs.evaluations.attentive_probe import AttentiveProbe
from caebench.specs.evaluations.linear_probe import LinearProbe
from caebench.specs.optim import Precision
from caebench.specs.pixel_stats import PixelStats
from caebench.tasks.intervals import of_accuracies
from caebench.training.evaluation import evaluation_batches, interruptible, most_batches
from caebench.training.optim import split_decay
from caebench.training.run import Run
from caebench.training.step import Batch, autocast
from caebench.training.trainer import Training

EVALUATION_BATCH = 256
MEAN_IN_PLACE = "mean of the patches, as the encoder has no class token"
KEPT_BYTES = 512 * 2**20  # class tokens of ImageNet's 50,000 for ViT-L are 200 MB


Part = Literal["cls", "mean", "last4", "all", "patches"]


@dataclass
class Frozen:
    """A frozen encoder and the part of its output that a head reads."""

    encoder: Encoder
    part: Part
    chunk: int  # images that the device takes at once
    norm: bool = True  # through the encoder's final norm

    @property
    def stats(self) -> PixelStats:
        """What its images are normalised by."""
        return stats_of(self.encoder)

    @property
    def dim(self) -> int:
        """Width of a feature, or of a token."""
        return self.dim_of(self.part)

    def dim_of(self, part: Part) -> int:
        """Width of a feature of that kind."""
        return self.encoder.variant.dim * self._num_blocks(part)

    def _num_blocks(self, part: Part) -> int:
        return min(4, self.encoder.variant.depth) if part == "last4" else 1

    def __call__(self, images: Float[Tensor, "batch 3 height width"]) -> Tensor:
        """Features of a batch of any size."""
        return self.read(images, (self.part,))[self.part]

    @torch.no_grad()
    def read(self, images: Float[Tensor, "batch 3 height width"], parts: Sequence[Part]) -> dict[Part, Tensor]:
        """Several features of the same pass."""
        chunks = [self._read(chunk, parts) for chunk in images.split(self.chunk)]
        return {part: torch.cat([chunk[part] for chunk in chunks]) for part in parts}

    def _read(self, images: Float[Tensor, "batch 3 height width"], parts: Sequence[Part]) -> dict[Part, Tensor]:
        num = {part: self._num_blocks(part) for part in parts}
        kept = deque(self.encoder.run(images), maxlen=max(num.values()))
        outputs = [self.encoder.outputs(tokens, self.norm) for tokens in kept]
        return {part: torch.cat([SELECT[part](one) for one in outputs[-num[part] :]], dim=-1) for part in parts}


SELECT: Mapping[Part, Callable[[Outputs], Tensor]] = {
    "cls": lambda outputs: outputs.class_token[:, 0],
    "mean": lambda outputs: outputs.patches.mean(dim=1),
    "last4": lambda outputs: outputs.class_token[:, 0],  # of each of the last four blocks, side by side
    "all": lambda outputs: torch.cat(outputs, dim=1),
    "patches": lambda outputs: outputs.patches,
}


def offered(encoder: Encoder, part: Part) -> Part:
    """The part, or the mean of the patches in place of a class token that the encoder does not have (ADR 40).

    Raises:
        ValueError: it needs class tokens of several blocks.
    """
    if encoder.architecture.class_token or part not in ("cls", "last4"):
        return part
    if part == "last4":
        offers = ", ".join(encoder.features)
        raise ValueError(f"feature 'last4': the encoder has no class token. It offers: {offers}. Choose one of them.")
    return "mean"


def freeze(run: Run, image_size: int, part: Part, norm: bool = True, encoder: Encoder | None = None) -> Frozen:
    """The encoder of the job's input, frozen; or one that was read already."""
    if encoder is None:
        encoder = read_encoder(run.inputs["encoder"] / ENCODER, image_size).to(run.device).eval().requires_grad_(False)
        run.adapt(encoder.blocks)
    if (taken := offered(encoder, part)) != part:
        run.protocol.update(feature=taken, pooling=MEAN_IN_PLACE)
    return Frozen(encoder, taken, run.site.most_images(encoder.variant), norm)


class ProbeStep(nn.Module):
    """Features without gradient, then head and cross-entropy; only the head is a submodule."""

    def __init__(self, frozen: Frozen, head: nn.Module) -> None:
        super().__init__()
        self.frozen, self.head = frozen, head  # `Frozen` is no module: neither trained nor saved

    def logits(self, batch: Batch) -> Tensor:
        """Scores of the classes, in float32; of features where the batch brings them."""
        part = self.frozen.part
        return self.head(batch[part] if part in batch else self.frozen(batch["image"])).float()

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Loss and training accuracy."""
        logits = self.logits(batch)
        accuracy = (logits.argmax(-1) == batch["label"]).float().mean()
        return {"loss": F.cross_entropy(logits, batch["label"]), "accuracy": accuracy}


@dataclass
class Probe:
    """Heads that are ready to train behind a pass of their encoder, which may be others' too (ADR 20)."""

    training: Training  # its module takes images, or under their names the parts that it reads
    frozen: Frozen
    parts: tuple[Part, ...]
    augmentation: Augmentation


MakeProbe = Callable[[Any, Run, Encoder | None], Probe]  # config, run, an encoder that was read already


def make_linear_probe(config: LinearProbe, run: Run, encoder: Encoder | None = None) -> Probe:
    """The linear probe before its first step."""
    frozen = freeze(run, config.image_size, config.feature, config.norm, encoder)
    augmentation = Augmentation(config.image_size, config.crop_scale_min, True, frozen.stats)
    return _make(config, run, frozen, augmentation, lambda dim, _, classes: LinearHead(dim, classes))


def make_attentive_probe(config: AttentiveProbe, run: Run, encoder: Encoder | None = None) -> Probe:
    """The attentive probe before its first step."""
    frozen = freeze(run, config.image_size, config.tokens, encoder=encoder)
    augmentation = Augmentation(config.image_size, config.crop_scale_min, config.crop == "one_try", frozen.stats)
    return _make(config, run, frozen, augmentation, partial(AttentiveHead, init_std=config.init_std))


def _make(
    config: LinearProbe | AttentiveProbe,
    run: Run,
    frozen: Frozen,
    augmentation: Augmentation,
    make_head: Callable[[int, int, int], nn.Module],
) -> Probe:
    train, val = run.open_split(config.data, "train"), run.open_split(config.data, "val")
    with seeded(derive(Purpose.INITIALISATION, config.seed)):
        head = make_head(frozen.dim, frozen.encoder.variant.num_heads, config.data.size.num_classes)
    step = ProbeStep(frozen, head)
    samples = Samples(val, LabelledSample(evaluation(config.image_size, frozen.stats), 0))
    evaluator = Evaluator(step.logits, samples, run, config.optimization.precision, frozen)
    training = Training(
        module=step,
        groups=split_decay(step),
        config=config.optimization,
        samples=Samples(train, LabelledSample(augmentation.transform(), config.seed), run.site.resize),
        seed=config.seed,
        after_epoch=evaluator,
        finish=lambda history: select(run, history, config.selection, evaluator.num_images),
    )
    return Probe(training, frozen, (frozen.part,), augmentation)


def percent(correct: Float[Tensor, " counts"], num_images: int) -> list[float]:
    """Counts in per cent, in double precision: 61 of 500 are 12.2, where float32 gives 12.199999809."""
    return [100.0 * count / num_images for count in correct.tolist()]


class Evaluator:
    """Accuracy on the validation split, each image counted once on whatever number of processes."""

    precision: Precision

    def __init__(
        self,
        logits: Callable[[Batch], Tensor],
        samples: Samples,
        run: Run,
        precision: Precision,
        frozen: Frozen | None = None,
    ) -> None:
        self.logits, self.samples, self.run, self.precision = logits, samples, run, precision
        self.frozen = frozen  # a frozen encoder sees each validation image once, if its features fit
        self.kept: list[Batch] = []

    @property
    def num_images(self) -> int:
        """Images that the accuracy is over."""
        return len(self.samples)

    @torch.no_grad()
    def __call__(self, epoch: int) -> dict[str, float]:
        """top1 and top5 in per cent."""
        run, correct = self.run, torch.zeros(2, device=self.run.device)
        for batch in self._batches():
            with autocast(run.device, self.precision):
                logits = self.logits(batch)
            ranked = logits.topk(min(5, logits.shape[1])).indices == batch["label"][:, None]
            correct += torch.stack([ranked[:, 0].sum(), ranked.any(dim=1).sum()])
        top1, top5 = percent(run.group.sum(correct), len(self.samples))
        return {"top1": top1, "top5": top5}

    def _batches(self) -> Iterator[Batch]:
        """This process's share of the split: images, or the features kept from the first time."""
        run, kept = self.run, []
        if self.kept:
            yield from interruptible(self.kept, most_batches(self.samples, run, EVALUATION_BATCH), run)
            return
        for batch in evaluation_batches(self.samples, run, EVALUATION_BATCH):
            if self.frozen is not None:
                with autocast(run.device, self.precision):
                    batch = {self.frozen.part: self.frozen(batch["image"]), "label": batch["label"]}
                kept.append(batch)
                fits = sum(part[self.frozen.part].nbytes for part in kept) <= KEPT_BYTES
                self.frozen, kept = (self.frozen, kept) if fits else (None, [])
            yield batch
        self.kept = kept


def select(run: Run, history: list[dict[str, Any]], selection: str, num_images: int) -> dict[str, Any]:
    """The reported epoch, by the recipe's rule, and the last one; records the intervals of the accuracies."""
    last = history[-1]
    chosen = max(history, key=lambda entry: entry["top1"]) if selection == "best_epoch" else last
    found = {**chosen, "top1_last_epoch": last["top1"]}
    run.intervals.update(of_accuracies(found, num_images))
    return {**found, "num_images": num_images}
