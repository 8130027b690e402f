"""Weighted k-nearest-neighbour classification on frozen features (DINO, arXiv 2104.14294, Sec. 4.2.1)."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from caebench.data.loading import Samples
from caebench.data.samples.labelled import LabelledSample
from caebench.data.transforms import evaluation
from caebench.datasets.splits import ImageSplit
from caebench.specs.evaluations.knn import KNN
from caebench.tasks.intervals import of_accuracies
from caebench.tasks.probes import EVALUATION_BATCH, Frozen, freeze
from caebench.training.evaluation import evaluation_batches
from caebench.training.run import Run
from caebench.training.signals import watch_signals
from caebench.training.step import autocast

QUERIES = 1024  # validation images compared with the bank at once


class Extracted(NamedTuple):
    """A split in features."""

    split: ImageSplit
    features: Float[Tensor, "images dim"]  # of unit length
    labels: Int[Tensor, " images"]


def knn(config: KNN, run: Run) -> dict[str, Any]:
    """Accuracy for every k; `top1` is the best of them, as DINO reports it.

    There is nothing to save: a job that was stopped starts over.

    Raises:
        Interrupted: a signal asked for a stop while features were extracted.
    """
    with watch_signals(run.stop):
        return _knn(config, run)


def _knn(config: KNN, run: Run) -> dict[str, Any]:
    frozen = freeze(run, config.image_size, config.feature, config.norm)
    splits = run.open_split(config.data, "train"), run.open_split(config.data, "val")
    bank, val = (extract(config, run, frozen, split) for split in splits)
    predicted = predict(config, val, bank)
    accuracies = {k: 100.0 * int(is_right(predicted[k], val).sum()) / len(val.labels) for k in config.k}
    best = max(accuracies, key=lambda k: accuracies[k])
    found = {"top1": accuracies[best], **{f"top1_k{k}": value for k, value in accuracies.items()}}
    run.intervals.update(of_accuracies(found, len(val.labels)))
    return {**found, "k": best, "num_images": len(val.labels)}


def is_right(predicted: Int[Tensor, " images"], truth: Extracted) -> Bool[Tensor, " images"]:
    """Which images got their class, or one of their classes."""
    if not truth.split.accepted:
        return predicted == truth.labels
    pairs = zip(predicted.tolist(), truth.split.accepted, strict=True)
    return torch.tensor([one in accepted for one, accepted in pairs])


def predict(config: KNN, queries: Extracted, bank: Extracted) -> dict[int, Int[Tensor, " queries"]]:
    """The class of every query, for each k."""
    num_classes = config.data.size.num_classes
    votes = [
        classify(part, bank.features, bank.labels, config, num_classes) for part in queries.features.split(QUERIES)
    ]
    return {k: torch.cat([vote[k] for vote in votes]) for k in config.k}


@torch.no_grad()
def extract(config: KNN, run: Run, frozen: Frozen, split: ImageSplit) -> Extracted:
    """Features and labels of a whole split, in order, gathered from all processes."""
    samples = Samples(split, LabelledSample(evaluation(config.image_size, frozen.stats), 0))
    group, features, labels = run.group, [], []
    for batch in evaluation_batches(samples, run, EVALUATION_BATCH):
        with autocast(run.device, config.precision):
            features.append(F.normalize(frozen(batch["image"]).float(), dim=-1))
        labels.append(batch["label"])
    share = -(-len(samples) // group.size)  # every process hands over equally many rows
    rows = [
        group.gather(F.pad(x, (0, 0, 0, share - len(x)))) for x in (torch.cat(features), torch.cat(labels)[:, None])
    ]
    return Extracted(split, rows[0][: len(samples)], rows[1][: len(samples), 0])


def classify(
    queries: Float[Tensor, "queries dim"],
    bank: Float[Tensor, "images dim"],
    labels: Int[Tensor, " images"],
    config: KNN,
    num_classes: int,
) -> dict[int, Int[Tensor, " queries"]]:
    """The class with the largest sum of exp(similarity / temperature) among the k nearest, for each k."""
    nearest = (queries @ bank.T).topk(min(max(config.k), len(bank)))
    weights = (nearest.values / config.temperature).exp()
    neighbours = F.one_hot(labels[nearest.indices], num_classes) * weights[..., None]
    return {k: neighbours[:, :k].sum(dim=1).argmax(dim=1) for k in config.k}
