"""Weighted k-nearest-neighbour classification on frozen features (DINO, arXiv 2104.14294, Sec. 4.2.1)."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from caebench.config.data import Split, size_of
from caebench.config.stage import KNN
from caebench.data.loading import Samples, evaluation_loader
from caebench.data.transforms import evaluation
from caebench.tasks.intervals import of_accuracies
from caebench.tasks.probes import EVALUATION_BATCH, Frozen, LabelledSample, freeze
from caebench.training.loop import autocast, to_device
from caebench.training.run import Run

QUERIES = 1024  # validation images compared with the bank at once


def knn(config: KNN, run: Run) -> dict[str, Any]:
    """Accuracy for every k; `top1` is the best of them, as DINO reports it."""
    frozen = freeze(run, config.image_size, config.feature)
    bank, labels = extract(config, run, frozen, "train")
    queries, truth = extract(config, run, frozen, "val")
    votes = [classify(part, bank, labels, config, size_of(config.data).num_classes) for part in queries.split(QUERIES)]
    predicted = {k: torch.cat([vote[k] for vote in votes]) for k in config.k}
    accuracies = {k: 100.0 * (predicted[k] == truth).double().mean().item() for k in config.k}
    best = max(accuracies, key=lambda k: accuracies[k])
    found = {"top1": accuracies[best], **{f"top1_k{k}": value for k, value in accuracies.items()}}
    run.intervals.update(of_accuracies(found, len(truth)))
    return {**found, "k": best, "num_images": len(truth)}


@torch.no_grad()
def extract(
    config: KNN, run: Run, frozen: Frozen, split: Split
) -> tuple[Float[Tensor, "images dim"], Int[Tensor, " images"]]:
    """Unit features and labels of a whole split, in order, gathered from all processes."""
    samples = Samples(run.open_split(config.data, split), LabelledSample(evaluation(config.image_size), 0))
    group, features, labels = run.group, [], []
    for batch in evaluation_loader(samples, group.rank, group.size, EVALUATION_BATCH, run.num_workers):
        batch = to_device(batch, run.device)
        with autocast(run.device, config.precision):
            features.append(F.normalize(frozen(batch["image"]).float(), dim=-1))
        labels.append(batch["label"])
    share = -(-len(samples) // group.size)  # every process hands over equally many rows
    rows = [
        group.gather(F.pad(x, (0, 0, 0, share - len(x)))) for x in (torch.cat(features), torch.cat(labels)[:, None])
    ]
    return rows[0][: len(samples)], rows[1][: len(samples), 0]


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
