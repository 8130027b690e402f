"""`caebench ckpt verify`: whether an encoder file is whole, and whether what it computes can be right.

Minutes, not hours: a few images a class, their nearest neighbours and a ridge regression, beside what an encoder of
the same size without training makes of the same images. Nothing here is a number for a table.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from caebench.config.data import Data, Split
from caebench.config.pixels import name_of
from caebench.config.site import Roots
from caebench.config.stage import ENCODER
from caebench.data.datasets import open_split
from caebench.data.loading import open_image
from caebench.data.randomness import Purpose, derive, seeded
from caebench.data.transforms import Transform, evaluation
from caebench.models.checkpoint import read_encoder, stats_of
from caebench.models.vit import Encoder
from caebench.tasks.imported import MAPPING
from caebench.tasks.intervals import binomial

NUM_CLASSES = 20
PER_CLASS = {"train": 12, "val": 8}  # with two encoders 800 images: two minutes of two cores for ViT-B
BATCH = 32
RIDGE = 1e-2  # of the features' mean square
NEIGHBOURS = 5
COLLAPSED = 1e-5  # deviation between images or patches, as a share of the norm: that of one output for all


class Check(NamedTuple):
    """One question to a checkpoint, and what was found."""

    what: str
    state: Literal["ok", "bad", "skipped"]
    found: str


@dataclass(frozen=True)
class Pictures:
    """A data set at hand."""

    data: Data
    roots: Roots
    world: Path | None  # of embedded data: the folder of the job that rendered them


def verify(folder: Path, pictures: Pictures | None, device: str) -> list[Check]:
    """Key coverage, finite values, statistics of features, and a sanity check on images where some are at hand.

    Raises:
        ValueError: the file of the encoder is missing or damaged.
    """
    encoder = read_encoder(folder / ENCODER).to(torch.device(device)).eval().requires_grad_(False)
    record = json.loads((folder / MAPPING).read_text(encoding="utf8")) if (folder / MAPPING).exists() else None
    checks = [check_coverage(encoder, record), check_pixels(encoder, record), check_finite(encoder)]
    if checks[-1].state == "bad":
        return checks
    checks.append(check_features(encoder, noise(encoder)))
    if pictures is None:
        return [*checks, Check("k-NN and linear", "skipped", "no data set at hand: name one in the site file, [data]")]
    return [*checks, *check_accuracy(encoder, pictures)]


def check_coverage(encoder: Encoder, record: Any) -> Check:
    """Whether every tensor of the encoder comes from the file, and every name of the file went somewhere."""
    what, names = "key coverage", set(encoder.state_dict())
    if record is None:
        return Check(what, "ok", f"trained here: all {len(names)} tensors of the network are in the file")
    sources = {target(ours) for ours in record["mapped"].values()}
    names -= {"pos_embed"} if encoder.positions == "none" else set()
    if wrong := sorted(names ^ sources):
        return Check(what, "bad", f"{len(wrong)} tensors without a source or a target: {', '.join(wrong[:5])}")
    mapped, left = len(record["mapped"]), len(record["left"])
    return Check(what, "ok", f"{mapped} names are the encoder's {len(names)} tensors; {left} are left for a reason")


def check_pixels(encoder: Encoder, record: Any) -> Check:
    """What its images are normalised by, as the encoder file says, and where that was learnt from."""
    stats = name_of(stats_of(encoder))
    if record is None:
        return Check("pixels", "ok", f"{stats}: trained here")
    noted = record.get("pixel_stats", "imagenet")  # imports that are older than the note
    if noted != stats:
        return Check("pixels", "bad", f"the encoder file says {stats}, and the import was told {noted}")
    return Check("pixels", "ok", f"{stats}: {record.get('pixel_source', 'imported before they were asked for')}")


def target(ours: str) -> str:
    """The tensor of the encoder that a mapped name ends in: parts of queries, keys and values are one there."""
    ours = re.sub(r"\.attn\.[qkv][._](weight|bias)$", r".attn.qkv.\1", ours)
    return ours.replace("shared_position_bias.table", "relative_position_biases.0.table")


def check_finite(encoder: Encoder) -> Check:
    """Whether there is no NaN and no Inf."""
    bad = [name for name, tensor in encoder.state_dict().items() if not torch.isfinite(tensor).all()]
    found = f"NaN or Inf in {', '.join(bad[:5])}" if bad else "no NaN, no Inf"
    return Check("finite values", "bad" if bad else "ok", found)


def noise(encoder: Encoder) -> Float[Tensor, "8 3 height width"]:
    """Eight smooth random pictures, always the same, of the encoder's own size."""
    coarse = torch.randn(8, 3, 7, 7, generator=torch.Generator().manual_seed(0))
    return F.interpolate(coarse, (encoder.image_size,) * 2, mode="bicubic").to(encoder.cls_token.device)


def check_features(encoder: Encoder, images: Float[Tensor, "batch 3 height width"]) -> Check:
    """Statistics of tokens; one output for all images, or for all patches, is a broken encoder."""
    tokens = encoder(images).float()
    patches, size = tokens[:, 1:], tokens.norm(dim=-1).mean()
    between_images = (patches.std(dim=0).norm(dim=-1).mean() / size).item()
    between_patches = (patches.std(dim=1).norm(dim=-1).mean() / size).item()
    found = (
        f"token norm {size:.3g}, deviation over dimensions {tokens.std(dim=-1).mean():.3g}; deviation, of the norm: "
        f"{between_images:.2g} between images, {between_patches:.2g} between patches"
    )
    broken = not torch.isfinite(tokens).all() or min(between_images, between_patches) < COLLAPSED
    return Check("features", "bad" if broken else "ok", found)


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
        return Encoder(encoder.variant, encoder.image_size).to(encoder.cls_token.device).eval().requires_grad_(False)


def choose(pictures: Pictures, split: Split) -> list[tuple[Path, int]]:
    """The first images of classes spread evenly over the labels."""
    found = open_split(pictures.data, split, pictures.roots, pictures.world)
    labels = sorted({label for _, label in found.entries})
    wanted = labels[:: max(1, len(labels) // NUM_CLASSES)][:NUM_CLASSES]
    by_label = {label: [path for path, of in found.entries if of == label] for label in wanted}
    return [(found.root / path, label) for label, paths in by_label.items() for path in paths[: PER_CLASS[split]]]


def extract(
    encoder: Encoder, transform: Transform, chosen: Sequence[tuple[Path, int]]
) -> tuple[Float[Tensor, "images dim"], Int[Tensor, " images"]]:
    """Mean patch tokens and labels: no method's class token is favoured."""
    device, parts = encoder.cls_token.device, []
    for first in range(0, len(chosen), BATCH):
        images = [transform(open_image(path)) for path, _ in chosen[first : first + BATCH]]
        parts.append(encoder(torch.stack(images).to(device))[:, 1:].mean(dim=1).cpu())
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
