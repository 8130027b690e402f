"""95 % intervals of an evaluation's own sampling error: how far a number moves with another draw of the images.

Accuracies have Wilson's interval (J. Am. Stat. Assoc. 22, 1927). mIoU and AP have the percentiles of a bootstrap over
images (Efron, Ann. Stat. 7, 1979) of what was counted on each: no image is evaluated twice (ADR 13). The draws follow
the job's seed. Repeated images favour the AP of rare classes: its interval may lie a little high, its width stands.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from caebench.data.randomness import Purpose, generator

Interval = tuple[float, float]  # low and high, in percent

NORMAL = 1.959963984540054  # deviations that hold 95 % of a normal distribution
TAILS = (0.025, 0.975)
IOU_RESAMPLES, AP_RESAMPLES = 1000, 200
WEIGHTS = 2**21  # of images in resamples, held at once: 16 MB
DETECTIONS = 100  # of an image and class, that AP counts at most
AP_AT = {"AP50": 0.5, "AP75": 0.75}  # IoU


def binomial(percent: float, num_images: int) -> Interval:
    """Wilson's interval of an accuracy in percent over so many images."""
    share, spread = percent / 100.0, NORMAL**2 / num_images
    centre = (share + spread / 2) / (1 + spread)
    half = math.sqrt(spread * share * (1 - share) + spread**2 / 4) / (1 + spread)
    return 100.0 * max(0.0, centre - half), 100.0 * min(1.0, centre + half)


def of_accuracies(found: Mapping[str, Any], num_images: int) -> dict[str, Interval]:
    """The interval of everything in a result that is called top-something."""
    return {name: binomial(value, num_images) for name, value in found.items() if name.startswith("top")}


def resamples(num_images: int, num: int, seed: int) -> Iterator[Float[Tensor, "resamples images"]]:
    """How often each resample takes each image; a few resamples at a time, which changes none."""
    rng = generator(Purpose.BOOTSTRAP, seed)
    step = max(1, WEIGHTS // num_images)
    for start in range(0, num, step):
        draws = (rng.integers(num_images, size=num_images) for _ in range(min(step, num - start)))
        yield torch.from_numpy(np.stack([np.bincount(draw, minlength=num_images) for draw in draws])).double()


def percentiles(scores: Mapping[str, Float[Tensor, " resamples"]]) -> dict[str, Interval]:
    """The middle 95 % of each score, resamples without one left out; a score that none has is left out."""
    tails = torch.tensor(TAILS, dtype=torch.float64)
    found = {name: torch.nanquantile(values, tails).tolist() for name, values in scores.items()}
    return {name: (low, high) for name, (low, high) in found.items() if not math.isnan(low)}


def bootstrap_iou(
    intersection: Float[Tensor, "images classes"],
    union: Float[Tensor, "images classes"],
    label: Float[Tensor, "images classes"],
    seed: int,
) -> dict[str, Interval]:
    """Intervals of mIoU, mAcc and aAcc from the pixels of each class in each image."""
    counts = torch.cat([intersection, union, label], dim=1).double()  # sums of whole numbers, exact in any order
    totals = torch.cat([weights @ counts for weights in resamples(len(counts), IOU_RESAMPLES, seed)])
    return percentiles(iou_scores(*totals.chunk(3, dim=1)))


def iou_scores(
    intersection: Float[Tensor, "resamples classes"],
    union: Float[Tensor, "resamples classes"],
    label: Float[Tensor, "resamples classes"],
) -> dict[str, Float[Tensor, " resamples"]]:
    """mmsegmentation's means in percent: classes that do not occur have no IoU, those without label no accuracy."""
    return {
        "mIoU": 100.0 * (intersection / union).nanmean(dim=1),
        "mAcc": 100.0 * (intersection / label).nanmean(dim=1),
        "aAcc": 100.0 * intersection.sum(dim=1) / label.sum(dim=1),
    }


class Matches(NamedTuple):
    """The detections of one class, the surest first, and the objects they were to find."""

    image: Int[np.ndarray, " detections"]
    right: Bool[np.ndarray, "ious detections"]  # matched to an object
    counted: Bool[np.ndarray, "ious detections"]  # right or wrong, but not matched to a crowd
    objects: Int[np.ndarray, " images"]  # crowds are none


class Detections(NamedTuple):
    """What AP is computed from."""

    classes: list[Matches]  # those that occur
    num_images: int
    ious: Float[np.ndarray, " ious"]
    recalls: Float[np.ndarray, " recalls"]


def read_matches(evaluation: Any) -> Detections:
    """What a pycocotools `COCOeval` holds after `evaluate()`, for objects of any size."""
    params, entries = evaluation.params, evaluation.evalImgs
    num_images, num_sizes = len(params.imgIds), len(params.areaRng)
    starts = range(0, len(entries), num_images * num_sizes)  # a block a class, in it a block a size: "all" is first
    found = [dict(enumerate(entries[start : start + num_images])) for start in starts]
    held = [{image: entry for image, entry in of_class.items() if entry is not None} for of_class in found]
    classes = [_of_class(of_class, num_images) for of_class in held if of_class]
    return Detections(classes, num_images, params.iouThrs, params.recThrs)


def _of_class(entries: Mapping[int, dict[str, Any]], num_images: int) -> Matches:
    """The entries of the images joined; equal scores stay in the order of the images, as in pycocotools."""
    objects = np.zeros(num_images, dtype=np.int64)
    for image, entry in entries.items():
        objects[image] = np.count_nonzero(entry["gtIgnore"] == 0)
    scores = [entry["dtScores"][:DETECTIONS] for entry in entries.values()]
    order = np.argsort(-np.concatenate(scores), kind="stable")
    image = np.repeat(list(entries), [len(part) for part in scores])[order]
    matched, ignored = (
        np.concatenate([entry[name][:, :DETECTIONS] for entry in entries.values()], axis=1)[:, order].astype(bool)
        for name in ("dtMatches", "dtIgnore")
    )
    return Matches(image, matched & ~ignored, ~ignored, objects)


def bootstrap_ap(detections: Detections, seed: int) -> dict[str, Interval]:
    """Intervals of AP, AP50 and AP75; 20 seconds of one core for COCO's 5,000 images with 100 detections each."""
    draws = (draw for some in resamples(detections.num_images, AP_RESAMPLES, seed) for draw in some.numpy())
    scores = torch.tensor([ap_scores(detections, draw) for draw in draws], dtype=torch.float64)
    return percentiles(dict(zip(("AP", *AP_AT), scores.T, strict=True)))


def ap_scores(detections: Detections, weights: Float[np.ndarray, " images"]) -> tuple[float, float, float]:
    """AP, AP50 and AP75 in percent, each image taken so many times; nan if no object is among them."""
    present = [one for one in detections.classes if weights @ one.objects > 0]
    if not present:
        return math.nan, math.nan, math.nan
    found = 100.0 * np.mean([precisions(one, weights, detections.recalls) for one in present], axis=(0, 2))
    at_50, at_75 = (float(found[np.isclose(detections.ious, iou)].mean()) for iou in AP_AT.values())
    return float(found.mean()), at_50, at_75


def precisions(
    matches: Matches, weights: Float[np.ndarray, " images"], recalls: Float[np.ndarray, " recalls"]
) -> Float[np.ndarray, "ious recalls"]:
    """The best precision at a recall or beyond it, 0 where it is not reached; as pycocotools' `accumulate`."""
    taken = weights[matches.image]
    right, counted = (np.cumsum(part * taken, axis=1) for part in (matches.right, matches.counted))
    precision = right / (counted + np.spacing(1))
    best = np.pad(np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1], ((0, 0), (0, 1)))
    recall = right / (weights @ matches.objects)
    return np.stack([row[np.searchsorted(reached, recalls)] for row, reached in zip(best, recall, strict=True)])
