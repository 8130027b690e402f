"""Linear probes at many learning rates on several features, in one pass of the frozen encoder.

A feature's heads are one matrix product, whatever their number; each learns as it would alone. The reported head is the
best on held-out training images; the best on the validation set, which other codes report, is reported as well.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from caebench.data.loading import Samples
from caebench.data.randomness import Purpose, derive, generator, seeded
from caebench.data.samples.labelled import LabelledSample
from caebench.data.samples.shared_pass import Augmentation
from caebench.data.transforms import evaluation
from caebench.datasets.splits import ImageSplit
from caebench.files.atomic import write_text
from caebench.files.layout import HEADS
from caebench.models.heads import BatchNorm, LinearHead
from caebench.models.vit import Encoder
from caebench.specs.evaluations.frozen import Feature
from caebench.specs.evaluations.linear_probe_grid import LinearProbeGrid
from caebench.tasks.intervals import binomial
from caebench.tasks.probes import EVALUATION_BATCH, MEAN_IN_PLACE, Frozen, Probe, freeze, percent
from caebench.training.evaluation import evaluation_batches
from caebench.training.optim import ParamGroup, split_decay
from caebench.training.run import Run
from caebench.training.step import Batch, autocast
from caebench.training.trainer import History, Training


class Setting(NamedTuple):
    """What tells a head from the others."""

    feature: Feature
    base_lr: float


class GridHead(nn.Module):
    """A head for each feature and rate; those of one feature share its batch norm, which nothing trains."""

    def __init__(self, dims: dict[Feature, int], base_lrs: Sequence[float], num_classes: int, seed: int) -> None:
        super().__init__()
        self.settings = [Setting(feature, rate) for feature in dims for rate in base_lrs]
        heads: dict[str, nn.ModuleList] = {}
        for feature, dim in dims.items():
            heads[feature] = nn.ModuleList(_alone(dim, num_classes, seed) for _ in base_lrs)
        self.heads = nn.ModuleDict(heads)
        self.norms = nn.ModuleDict({feature: BatchNorm(dim, eps=1e-6) for feature, dim in dims.items()})

    def forward(self, features: dict[Feature, Tensor]) -> Float[Tensor, "heads batch classes"]:
        """Logits of every head."""
        return torch.cat([self._logits(name, features[name]) for name in features])

    def _logits(self, name: Feature, features: Float[Tensor, "batch dim"]) -> Float[Tensor, "rates batch classes"]:
        heads = list(self.heads[name].children())
        weight = torch.cat([head.get_parameter("weight") for head in heads])
        bias = torch.cat([head.get_parameter("bias") for head in heads])
        logits = F.linear(self.norms[name](features), weight, bias)
        return logits.unflatten(1, (len(heads), -1)).transpose(0, 1)

    def groups(self, base_lr: float) -> list[ParamGroup]:
        """Each head at its own rate."""
        heads = [head for heads in self.heads.values() for head in heads.children()]
        pairs = zip(heads, self.settings, strict=True)
        return [group for head, setting in pairs for group in split_decay(head, setting.base_lr / base_lr)]


def _alone(dim: int, num_classes: int, seed: int) -> nn.Linear:
    """A head as the linear probe draws it: every rate starts from the same weights."""
    with seeded(derive(Purpose.INITIALISATION, seed)):
        return LinearHead(dim, num_classes).linear


class GridStep(nn.Module):
    """Features without gradient, then every head's cross-entropy; only the heads are a submodule.

    Held-out images pass through, as they do for a probe in the same pass, without a loss.
    """

    held: Tensor

    def __init__(self, frozen: Frozen, head: GridHead, features: Sequence[Feature], held: Bool[Tensor, " images"]):
        super().__init__()
        self.frozen, self.head, self.features = frozen, head, tuple(features)
        self.register_buffer("held", held, persistent=False)

    def logits(self, batch: Batch) -> Float[Tensor, "heads batch classes"]:
        """Scores of the classes, in float32; of features where the batch brings them."""
        read = {name: batch[name] for name in self.features if name in batch}
        return self.head(read or self.frozen.read(batch["image"], self.features)).float()

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The sum of the losses, so that each head gets the gradient that it would get alone; and their mean.

        A head whose rate is far too high may overflow: it is left out, and the others train.
        """
        logits = self.logits(batch)
        taught = ~self.held[batch["index"]]
        labels = batch["label"].expand(len(logits), -1)
        losses = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view_as(labels)
        mean = torch.where(taught, losses, 0.0).sum(dim=1) / per_process(taught)
        finite = mean[mean.isfinite()]
        return {"loss": finite.sum(), "loss_of_a_head": finite.mean().detach()}


def per_process(taught: Bool[Tensor, " batch"]) -> Float[Tensor, ""]:
    """The global batch's images that teach, over the processes, whose gradients are averaged; at least one."""
    num = taught.sum().float()
    dist.all_reduce(num)
    return num.clamp(min=1.0) / dist.get_world_size()


def make_linear_probe_grid(config: LinearProbeGrid, run: Run, encoder: Encoder | None = None) -> Probe:
    """All heads before their first step."""
    frozen = freeze(run, config.image_size, "patches", config.norm, encoder)
    features = choose_features(config, run, frozen.encoder)
    train, val = run.open_split(config.data, "train"), run.open_split(config.data, "val")
    numbers = hold_out(len(train.entries), config.hold_out, config.seed)
    dims: dict[Feature, int] = {feature: frozen.dim_of(feature) for feature in features}
    head = GridHead(dims, config.base_lrs, config.data.size.num_classes, config.seed)
    held = torch.zeros(len(train.entries), dtype=torch.bool)
    held[numbers] = True
    step = GridStep(frozen, head, features, held)
    augmentation = Augmentation(config.image_size, config.crop_scale_min, True, frozen.stats)

    def finish(history: History) -> dict[str, Any]:
        step.eval()
        kept_back = replace(train, entries=[train.entries[number] for number in numbers])
        return choose(head.settings, accuracies(step, kept_back, config, run), accuracies(step, val, config, run), run)

    training = Training(
        module=step,
        groups=head.groups(config.optimization.base_lr),
        config=config.optimization,
        samples=Samples(train, LabelledSample(augmentation.transform(), config.seed), run.site.resize),
        seed=config.seed,
        finish=finish,
    )
    return Probe(training, frozen, features, augmentation)


def choose_features(config: LinearProbeGrid, run: Run, encoder: Encoder) -> tuple[Feature, ...]:
    """The features that the encoder offers; without a class token one: the mean of the patches (ADR 40)."""
    if encoder.architecture.class_token or config.features == ("mean",):
        return config.features
    run.protocol.update(feature="mean", pooling=MEAN_IN_PLACE)
    return ("mean",)


def hold_out(num_images: int, share: float, seed: int) -> list[int]:
    """The images to choose on, in order: drawn by the seed alone."""
    order = generator(Purpose.HOLD_OUT, seed).permutation(num_images)
    return sorted(order[: max(1, round(share * num_images))].tolist())


class Accuracies(NamedTuple):
    """In per cent, a head after the other."""

    top1: list[float]
    num_images: int


@torch.no_grad()
def accuracies(step: GridStep, split: ImageSplit, config: LinearProbeGrid, run: Run) -> Accuracies:
    """Every head's accuracy, each image counted once on whatever number of processes."""
    samples = Samples(split, LabelledSample(evaluation(config.image_size, step.frozen.stats), 0))
    correct = torch.zeros(len(step.head.settings), device=run.device)
    for batch in evaluation_batches(samples, run, EVALUATION_BATCH):
        with autocast(run.device, config.optimization.precision):
            logits = step.logits(batch)
        correct += (logits.argmax(-1) == batch["label"]).sum(dim=1)
    return Accuracies(percent(run.group.sum(correct), len(samples)), len(samples))


def choose(settings: Sequence[Setting], held: Accuracies, val: Accuracies, run: Run) -> dict[str, Any]:
    """The best head on the held-out images; of equal ones the first."""
    chosen = max(range(len(settings)), key=lambda number: held.top1[number])
    found = {"top1": val.top1[chosen], "top1_best_on_val": max(val.top1), "top1_held_out": held.top1[chosen]}
    num = {"top1": val.num_images, "top1_best_on_val": val.num_images, "top1_held_out": held.num_images}
    run.intervals.update({name: binomial(value, num[name]) for name, value in found.items()})
    if run.group.is_main:
        lines = [
            {**setting._asdict(), "held_out": held.top1[number], "val": val.top1[number], "chosen": number == chosen}
            for number, setting in enumerate(settings)
        ]
        write_text(run.folder / HEADS, json.dumps(lines, indent=2) + "\n")
    return {**found, "base_lr": settings[chosen].base_lr, "num_images": val.num_images}
