"""How a number was made, in a few words each, and where that departs from its column.

What two recipes differ in by design is no departure: a number is compared with its own column's recipe for its own
variant, and with the data, versions and clean tree of the column's other numbers.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from caebench.config.base import Config
from caebench.config.dense import Detection, KNNSegmentation, LearningRateGrid, Segmentation
from caebench.config.stage import EXTRA, KNN, AttentiveProbe, Finetune, LinearProbe, LinearProbeGrid, PretrainingCost
from caebench.plan.identity import differing, full
from caebench.report.records import Record

Protocol = dict[str, str]
POOLING = {"cls": "class token", "mean": "mean of the patches", "last4": "class tokens of four blocks"}
VERSIONED = ("torch", "torchvision", "timm", "onedl-mmsegmentation", "onedl-mmdetection")


def protocol(config: Config, record: Record | None) -> Protocol:
    """Feature, norm, pooling, augmentation, epochs, batch, rate, selection, resolution, precision, data, versions."""
    found = {**_evaluation(config), **_optimization(getattr(config, "optimization", None))}
    if record is not None:
        packages = record["provenance"].get("packages", {})
        found["data"] = ", ".join(f"{name} {mark}" for name, mark in sorted(record["fingerprints"].items()))
        found["versions"] = ", ".join(f"{name} {packages[name]}" for name in VERSIONED if packages.get(name))
    return found


def concerning(record: Record, metric: str) -> Record:
    """A record without the fingerprints of extras that another metric rests on."""
    own = EXTRA + metric.removeprefix("top1_")
    marks = record["fingerprints"].items()
    return {**record, "fingerprints": {name: m for name, m in marks if not name.startswith(EXTRA) or name == own}}


def fingerprint(config: Config, record: Record) -> str:
    """Eight digits that are equal for numbers made alike."""
    content = {"config": {**full(config), "seed": None}, **protocol(config, record)}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]


def _evaluation(config: Config) -> Protocol:
    match config:
        case LinearProbe() | KNN():
            norms = ["final norm" if config.norm else "no final norm"]
            norms.append("batch norm" if isinstance(config, LinearProbe) else "unit length")
            pooling = POOLING[config.feature]
            return {"feature": config.feature, "norm": ", then ".join(norms), "pooling": pooling, **_images(config)}
        case LinearProbeGrid():
            return _grid(config)
        case AttentiveProbe():
            pooling = "one cross-attention with its own query"
            return {"feature": f"{config.tokens} tokens", "norm": "final norm", "pooling": pooling, **_images(config)}
        case Finetune():
            return {
                **{"feature": "whole encoder, trained", "norm": "norm of the mean", "pooling": "mean of the patches"},
                **_images(config),
            }
        case Segmentation():
            return _segmentation(config)
        case LearningRateGrid():
            rates = ", ".join(f"{rate:g}" for rate in config.rates)
            own = {"rate": rates, "selection": "median over the rates"}
            return {**_segmentation(config.task), **_optimization(config.task.optimization), **own}
        case KNNSegmentation():
            size = f"short side {config.image_size}"
            return {"feature": "patch tokens", "norm": "final norm", "resolution": size, "precision": config.precision}
        case Detection():
            return {
                **{"feature": "four blocks, trained", "norm": "none", "pooling": "feature pyramid"},
                "augmentation": f"flip, short sides {config.short_sides[0]} to {config.short_sides[-1]}, or a crop",
                "selection": "last iteration",
                "resolution": f"{config.short_sides[-1]} x {config.long_side}",
            }
        case PretrainingCost():
            return {"feature": "a training step", "selection": f"median of {config.num_steps}"}
        case _:
            return {}


def _segmentation(config: Segmentation) -> Protocol:
    frozen = config.head == "linear"
    return {
        "feature": "patch tokens, frozen" if frozen else "four blocks, trained",
        "norm": "final norm" if frozen else "none",
        "pooling": "none" if frozen else "UperNet",
        "augmentation": f"scale 0.5 to 2, crop {config.crop_size}, flip, colours",
        "selection": "last iteration",
        "resolution": f"windows of {config.crop_size}, stride {config.stride}",
    }


def _grid(config: LinearProbeGrid) -> Protocol:
    return {
        "feature": ", ".join(config.features),
        "norm": f"{'final norm' if config.norm else 'no final norm'}, then batch norm",
        "rate": f"{len(config.base_lrs)}, {config.base_lrs[0]:g} to {config.base_lrs[-1]:g}",
        **_images(config),
        "selection": f"last epoch; the best head on {config.hold_out:.0%} of the training images",
    }


def _images(config: LinearProbe | LinearProbeGrid | AttentiveProbe | Finetune | KNN) -> Protocol:
    """Of the classification tasks: what they do to an image."""
    found = {"resolution": str(config.image_size)}
    if isinstance(config, KNN):
        return {**found, "augmentation": "none", "selection": f"k = {config.fixed_k}", "precision": config.precision}
    crop = f"crop {config.crop_scale_min:.2g} to 1, flip"
    if isinstance(config, Finetune):
        crop += f", {config.randaugment}, mixup {config.mixing.mixup:g}, cutmix {config.mixing.cutmix:g}"
    if isinstance(config, LinearProbeGrid):
        return {**found, "augmentation": crop}
    return {**found, "augmentation": crop, "selection": "last epoch"}


def _optimization(config: Any) -> Protocol:
    if config is None:
        return {}
    epochs = f"{config.epochs} epochs" if hasattr(config, "epochs") else f"{config.iterations} iterations"
    rate = f"{config.lr:.3g}"
    return {"epochs": epochs, "batch": str(config.global_batch), "rate": rate, "precision": config.precision}


def departures(config: Config, expected: Config, record: Record, usual: Mapping[str, Any]) -> list[str]:
    """`field: the column's -> this number's`, and what else sets a number apart."""
    lines = differing({**full(expected), "seed": None}, {**full(config), "seed": None})
    for split, mark in record["fingerprints"].items():
        if (most := usual["data"].get(split, mark)) != mark:
            lines.append(f"data {split}: {most} -> {mark}")
    for name, version in _versions(record).items():
        if (most := usual["versions"].get(name, version)) != version:
            lines.append(f"{name}: {most} -> {version}")
    if record["provenance"].get("dirty"):
        lines.append("made from a changed working tree")
    return lines


def usual(records: Sequence[Record]) -> dict[str, dict[str, str]]:
    """What most of a column's numbers were made with."""
    return {
        "data": _most(record["fingerprints"] for record in records),
        "versions": _most(_versions(record) for record in records),
    }


def _versions(record: Record) -> dict[str, str]:
    packages = record["provenance"].get("packages", {})
    return {name: packages[name] for name in VERSIONED if packages.get(name)}


def _most(tables: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """For each key the commonest value; of equally common ones the first."""
    counts: dict[str, Counter[str]] = {}
    for table in tables:
        for name, value in table.items():
            counts.setdefault(name, Counter())[value] += 1
    return {name: counter.most_common(1)[0][0] for name, counter in counts.items()}
