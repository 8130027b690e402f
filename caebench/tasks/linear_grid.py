"""Linear probes at many learning rates on several features, in one pass of the frozen encoder.

A feature's heads are one matrix product, whatever their number; each learns as it would alone. The reported head is the
best on training images that were held out; the best on the validation set, which other codes report, stands beside it.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from caebench.config.data import size_of
from caebench.config.stage import Feature, LinearProbeGrid
from caebench.data.datasets import ImageSplit
from caebench.data.loading import Samples, evaluation_loader
from caebench.data.randomness import Purpose, derive, generator, seeded
from caebench.data.transforms import crop_and_flip, evaluation
from caebench.models.heads import BatchNorm, LinearHead
from caebench.tasks.intervals import binomial
from caebench.tasks.probes import EVALUATION_BATCH, Frozen, LabelledSample, freeze
from caebench.training.loop import Batch, Training, autocast, fit, to_device
from caebench.training.optim import ParamGroup, split_decay
from caebench.training.run import Run

HEADS = "heads.json"  # in the job's folder: what every head reached


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
    """Features without gradient, then every head's cross-entropy; only the heads are a submodule."""

    def __init__(self, frozen: Frozen, head: GridHead, features: Sequence[Feature]) -> None:
        super().__init__()
        self.frozen, self.head, self.features = frozen, head, tuple(features)

    def logits(self, batch: Batch) -> Float[Tensor, "heads batch classes"]:
        """Scores of the classes, in float32."""
        return self.head(self.frozen.read(batch["image"], self.features)).float()

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The sum of the losses, so that each head gets the gradient that it would get alone; and their mean.

        A head whose rate is far too high may overflow: it is left out, and the others go on.
        """
        logits = self.logits(batch)
        labels = batch["label"].expand(len(logits), -1)
        losses = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view_as(labels).mean(dim=1)
        finite = losses[losses.isfinite()]
        return {"loss": finite.sum(), "loss_of_a_head": finite.mean().detach()}


def linear_probe_grid(config: LinearProbeGrid, run: Run) -> dict[str, Any]:
    """Train all heads, choose one on the held-out images, and write what every one of them reached."""
    frozen = freeze(run, config.image_size, "cls", config.norm)
    kept, held = hold_out(run.open_split(config.data, "train"), config.hold_out, config.seed)
    val = run.open_split(config.data, "val")
    dims: dict[Feature, int] = {feature: frozen.dim_of(feature) for feature in config.features}
    head = GridHead(dims, config.base_lrs, size_of(config.data).num_classes, config.seed)
    step = GridStep(frozen, head, config.features)
    augmentation = crop_and_flip(config.image_size, config.crop_scale_min, one_try=True)
    training = Training(
        module=step,
        groups=head.groups(config.optimization.base_lr),
        config=config.optimization,
        samples=Samples(kept, LabelledSample(augmentation, config.seed)),
        seed=config.seed,
    )
    fit(training, run)
    step.eval()
    return choose(head.settings, accuracies(step, held, config, run), accuracies(step, val, config, run), run)


def hold_out(split: ImageSplit, share: float, seed: int) -> tuple[ImageSplit, ImageSplit]:
    """What to train on, and what to choose on: drawn by the seed alone, each in the split's own order."""
    order = generator(Purpose.HOLD_OUT, seed).permutation(len(split.entries))
    held = set(order[: max(1, round(share * len(order)))].tolist())
    parts = [
        [entry for place, entry in enumerate(split.entries) if (place in held) == wanted] for wanted in (False, True)
    ]
    return replace(split, entries=parts[0]), replace(split, entries=parts[1])


class Accuracies(NamedTuple):
    """In per cent, a head after the other."""

    top1: list[float]
    num_images: int


@torch.no_grad()
def accuracies(step: GridStep, split: ImageSplit, config: LinearProbeGrid, run: Run) -> Accuracies:
    """Every head's accuracy, each image counted once on whatever number of processes."""
    samples = Samples(split, LabelledSample(evaluation(config.image_size), 0))
    correct = torch.zeros(len(step.head.settings), device=run.device)
    for images in evaluation_loader(samples, run.group.rank, run.group.size, EVALUATION_BATCH, run.num_workers):
        batch = to_device(images, run.device)
        with autocast(run.device, config.optimization.precision):
            logits = step.logits(batch)
        correct += (logits.argmax(-1) == batch["label"]).sum(dim=1)
    return Accuracies((100.0 * run.group.sum(correct) / len(samples)).tolist(), len(samples))


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
        (run.folder / HEADS).write_text(json.dumps(lines, indent=2) + "\n", encoding="utf8")
    return {**found, "base_lr": settings[chosen].base_lr, "num_images": val.num_images}
