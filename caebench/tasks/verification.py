"""`caebench ckpt verify`: the checks of the file, and a sanity check of its features on images of a data set.

Minutes, not hours: a few images a class, their nearest neighbours and a ridge regression, compared with what an encoder
of the same size without training makes of the same images. Nothing here is a number for a table. It is a task and no
part of `checkpoints`, since an accuracy's interval is that of the evaluations (`intervals`), which stand above.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from caebench.checkpoints.encoder_file import read_encoder, stats_of
from caebench.checkpoints.importing import read_record
from caebench.checkpoints.verification import FINITE, Check, check_file
from caebench.data.loading import open_image
from caebench.data.randomness import Purpose, derive, seeded
from caebench.data.transforms import Transform, evaluation
from caebench.datasets.base import Roots
from caebench.datasets.splits import ImageSplit, Split
from caebench.files.layout import ENCODER
from caebench.models.vit import Encoder
from caebench.specs.inputs.dataset import Data
from caebench.tasks.intervals import binomial

NUM_CLASSES = 20
PER_CLASS = {"train": 12, "val": 8}  # with two encoders 800 images: two minutes of two cores for ViT-B
BATCH = 32
RIDGE = 1e-2  # of the features' mean square
NEIGHBOURS = 5


@dataclass(frozen=True)
class Pictures:
    """A data set at hand."""

    data: Data
    roots: Roots


def verify(folder: Path, pictures: Pictures | None, device: str) -> list[Check]:
    """Key coverage, finite values, statistics of features, and a sanity check on images where some are at hand.

    Raises:
        ValueError: the file of the encoder is missing or damaged.
    """
    encoder = read_encoder(folder / ENCODER).to(torch.device(device)).eval().requires_grad_(False)
    checks = list(check_file(encoder, read_record(folder)))
    if checks[-1].what == FINITE:  # it has NaN or Inf: nothing that it computes says more
        return checks
    if pictures is None:
        return [*checks, Check("k-NN and linear", "skipped", "no data set at hand: name one in the site file, [data]")]
    return [*checks, *check_accuracy(encoder, pictures)]


def check_accuracy(encoder: Encoder, pictures: Pictures) -> Iterator[Check]:
    """k-NN and a linear map on a few images a class: above what an untrained encoder of the same size reaches."""
    chosen = {split: choose(pictures, split) for split in ("train", "val")}
    transform = evaluation(encoder.image_size, stats_of(encoder))
    ours, untrained = (
        [extract(one, transform, chosen[split]) for split in ("train", "val")] for one in (encoder, like(encoder))
    )
    truth, num_images = ours[1][1], len(ours[1][1])
    for what, classify in (("k-NN", neighbours), ("linear", ridge)):
        accuracy, floor = (
            100.0 * (classify(*train, val[0]) == truth).double().mean().item() for train, val in (ours, untrained)
        )
        low = binomial(floor, num_images)[1]
        found = (
            f"{accuracy:.1f} % on {num_images} images of {pictures.data.name}; expected {low:.1f} to 100, "
            f"above the 95 % interval of an untrained encoder ({floor:.1f} %)"
        )
        yield Check(what, "ok" if accuracy >= low else "bad", found)


def like(encoder: Encoder) -> Encoder:
    """An untrained encoder of the same size."""
    with seeded(derive(Purpose.INITIALISATION, 0)):
        return encoder.untrained().to(encoder.device).eval().requires_grad_(False)


def choose(pictures: Pictures, split: Split) -> list[tuple[Path, int]]:
    """The first images of classes spread evenly over the labels."""
    found = pictures.data.dataset.open(pictures.roots, split, pictures.data.size)
    assert isinstance(found, ImageSplit), "it is a data set of labelled images"
    labels = sorted({label for _, label in found.entries})
    wanted = labels[:: max(1, len(labels) // NUM_CLASSES)][:NUM_CLASSES]
    by_label = {label: [path for path, of in found.entries if of == label] for label in wanted}
    return [(found.root / path, label) for label, paths in by_label.items() for path in paths[: PER_CLASS[split]]]


def extract(
    encoder: Encoder, transform: Transform, chosen: Sequence[tuple[Path, int]]
) -> tuple[Float[Tensor, "images dim"], Int[Tensor, " images"]]:
    """Mean patch tokens and labels: no method's class token is favoured."""
    device, parts = encoder.device, []
    for first in range(0, len(chosen), BATCH):
        images = [transform(open_image(path)) for path, _ in chosen[first : first + BATCH]]
        parts.append(encoder.patches(encoder(torch.stack(images).to(device))).mean(dim=1).cpu())
    features = torch.cat(parts)
    return features - features.mean(dim=0), torch.tensor([label for _, label in chosen])


def neighbours(
    bank: Float[Tensor, "images dim"], labels: Int[Tensor, " images"], queries: Float[Tensor, "queries dim"]
) -> Int[Tensor, " queries"]:
    """The commonest label among the nearest, by cosine."""
    similarity = F.normalize(queries, dim=-1) @ F.normalize(bank, dim=-1).T
    return labels[similarity.topk(min(NEIGHBOURS, len(bank))).indices].mode(dim=1).values


def ridge(
    bank: Float[Tensor, "images dim"], labels: Int[Tensor, " images"], queries: Float[Tensor, "queries dim"]
) -> Int[Tensor, " queries"]:
    """A linear map onto the classes, solved at once."""
    known, targets = labels.unique(return_inverse=True)
    bank, queries = bank.double(), queries.double()
    one_hot = F.one_hot(targets, len(known)).double()
    kernel = bank @ bank.T
    kernel += RIDGE * kernel.diagonal().mean() * torch.eye(len(bank), dtype=torch.float64)
    return known[(queries @ bank.T @ torch.linalg.solve(kernel, one_hot)).argmax(dim=1)]
