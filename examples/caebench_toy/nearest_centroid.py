"""The nearest class mean at work."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from caebench.specs.evaluations.knn import KNN
from caebench.tasks.intervals import of_accuracies
from caebench.tasks.knn import extract
from caebench.tasks.probes import freeze
from caebench.training.run import Run
from caebench.training.signals import watch_signals
from caebench_toy.specs import NearestCentroid


def classify_by_centroid(config: NearestCentroid, run: Run) -> dict[str, Any]:
    """Top-1 on the validation images; features are read as k-NN reads them."""
    read = KNN(kind="knn", data=config.data, image_size=config.image_size, precision=config.precision)
    with watch_signals(run.stop):
        frozen = freeze(run, config.image_size, "cls")
        train, val = (extract(read, run, frozen, run.open_split(config.data, split)) for split in ("train", "val"))
    right: Tensor = (val.features @ centroids(train.features, train.labels).T).argmax(dim=1) == val.labels
    found = {"top1": 100.0 * int(right.sum()) / len(right)}
    run.intervals.update(of_accuracies(found, len(right)))
    return found


def centroids(features: Tensor, labels: Tensor) -> Tensor:
    """The mean feature of each class, of unit length."""
    sums = torch.zeros(int(labels.max()) + 1, features.shape[1], device=features.device)
    return F.normalize(sums.index_add(0, labels, features), dim=1)
