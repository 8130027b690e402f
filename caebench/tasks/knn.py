"""Weighted k-nearest-neighbour classification on frozen features (DINO, arXiv 2104.14294, Sec. 4.2.1)."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from caebench.config.data import RealData, size_of
from caebench.config.stage import EXTRA, KNN
from caebench.data.datasets import ImageSplit
from caebench.data.extras import SUBSETS, list_v2, read_real, read_subset
from caebench.data.listing import fingerprint
from caebench.data.loading import Samples, evaluation_loader
from caebench.data.transforms import evaluation
from caebench.tasks.intervals import of_accuracies
from caebench.tasks.probes import EVALUATION_BATCH, Frozen, LabelledSample, freeze
from caebench.training.loop import autocast, to_device
from caebench.training.run import Run

QUERIES = 1024  # validation images compared with the bank at once


class Extracted(NamedTuple):
    """A split in features."""

    split: ImageSplit
    features: Float[Tensor, "images dim"]  # of unit length
    labels: Int[Tensor, " images"]


def knn(config: KNN, run: Run) -> dict[str, Any]:
    """Accuracy for every k; `top1` is the best of them, as DINO reports it.

    On ImageNet also what the site's [extras] name, each at the k that was fixed beforehand.
    """
    frozen = freeze(run, config.image_size, config.feature, config.norm)
    train, val_split = run.open_split(config.data, "train"), run.open_split(config.data, "val")
    more = open_extras(run, train, val_split) if config.data == RealData(kind="real", name="imagenet1k") else Opened()
    bank, val = extract(config, run, frozen, train), extract(config, run, frozen, val_split)
    predicted = predict(config, val, bank)
    accuracies = {k: _share(predicted[k] == val.labels) for k in config.k}
    best = max(accuracies, key=lambda k: accuracies[k])
    found = {"top1": accuracies[best], **{f"top1_k{k}": value for k, value in accuracies.items()}}
    run.intervals.update(of_accuracies(found, len(val.labels)))
    for name, right in _extras(config.replace(k=(config.fixed_k,)), run, frozen, bank, val, more):
        found[name] = _share(right)
        run.intervals.update(of_accuracies({name: found[name]}, len(right)))
    return {**found, "k": best, "num_images": len(val.labels)}


def _share(right: Bool[Tensor, " images"]) -> float:
    return 100.0 * int(right.sum()) / len(right)


class Opened(NamedTuple):
    """What the site's [extras] name, read before any image is encoded: a mistake in it costs nothing."""

    v2: ImageSplit | None = None
    real: list[tuple[int, ...]] | None = None
    subsets: Mapping[str, list[int]] = {}


def open_extras(run: Run, train: ImageSplit, val: ImageSplit) -> Opened:
    """Read the extras of ImageNet that the site names, and note the fingerprint of each.

    Raises:
        DataError: one is missing or not as published.
    """
    extras, v2 = run.site.extras, None
    if extras.v2 is not None:
        entries = list_v2(extras.v2)
        v2 = ImageSplit(extras.v2, entries, fingerprint(entries))
        run.fingerprints[f"{EXTRA}v2"] = v2.fingerprint
    real = None if extras.real is None else read_real(extras.real, val.entries)
    if real is not None:
        pairs = zip(val.entries, real, strict=True)
        run.fingerprints[f"{EXTRA}real"] = fingerprint((name, str(labels)) for (name, _), labels in pairs)
    lists = {} if extras.subsets is None else {n: extras.subsets / subset.file for n, subset in SUBSETS.items()}
    subsets = {name: read_subset(path, train.entries, SUBSETS[name]) for name, path in lists.items()}
    for name, places in subsets.items():
        run.fingerprints[f"{EXTRA}{name}"] = fingerprint(train.entries[place] for place in places)
    return Opened(v2, real, subsets)


def _extras(
    config: KNN, run: Run, frozen: Frozen, bank: Extracted, val: Extracted, more: Opened
) -> Iterator[tuple[str, Bool[Tensor, " images"]]]:
    """What else there is, and which of its images are told right: with one k."""
    (k,) = config.k
    if more.v2 is not None:
        other = extract(config, run, frozen, more.v2)
        yield "top1_v2", predict(config, other, bank)[k] == other.labels
    if more.real is not None:
        told = predict(config, val, bank)[k].tolist()
        yield "top1_real", torch.tensor([one in known for one, known in zip(told, more.real, strict=True) if known])
    for name, numbers in more.subsets.items():
        places = torch.tensor(numbers, device=run.device)
        few = bank._replace(features=bank.features[places], labels=bank.labels[places])
        yield f"top1_{name}", predict(config, val, few)[k] == val.labels


def predict(config: KNN, queries: Extracted, bank: Extracted) -> dict[int, Int[Tensor, " queries"]]:
    """The class of every query, for each k."""
    num_classes = size_of(config.data).num_classes
    votes = [
        classify(part, bank.features, bank.labels, config, num_classes) for part in queries.features.split(QUERIES)
    ]
    return {k: torch.cat([vote[k] for vote in votes]) for k in config.k}


@torch.no_grad()
def extract(config: KNN, run: Run, frozen: Frozen, split: ImageSplit) -> Extracted:
    """Features and labels of a whole split, in order, gathered from all processes."""
    samples = Samples(split, LabelledSample(evaluation(config.image_size, frozen.stats), 0))
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
