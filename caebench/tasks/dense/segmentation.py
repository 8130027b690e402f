"""Semantic segmentation, through mmsegmentation: UperNet, or a linear layer on a frozen encoder."""

import csv
import io
import warnings
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from mmengine.config import ConfigDict
from mmengine.registry import MODELS, init_default_scope
from mmseg.datasets import BaseSegDataset
from mmseg.evaluation import IoUMetric
from torch import Tensor, nn

from caebench.checkpoints.encoder_file import read_encoder
from caebench.data.randomness import Purpose, derive, seeded_everywhere
from caebench.datasets.splits import SceneSplit
from caebench.files.atomic import write_text
from caebench.files.layout import ENCODER, PER_CLASS
from caebench.models.vit import Encoder
from caebench.specs.evaluations.segmentation import Segmentation
from caebench.tasks.dense.engine import DenseJob, byte_stats, initialise_heads, make_runner, train_and_evaluate
from caebench.tasks.dense.pictures import PictureHook
from caebench.tasks.dense.reading import IGNORED, ReadLabelMap, ReadPicture
from caebench.tasks.intervals import Interval, bootstrap_iou
from caebench.training.run import Run

LONG_SIDE = 4  # times the short one: 2048 and 512
RATIOS = (0.5, 2.0)
MAX_CATEGORY_SHARE = 0.75  # of a crop

Described = dict[str, Any]


def segment(config: Segmentation, run: Run) -> dict[str, Any]:
    """Train UperNet with the encoder, or a linear layer on it, and evaluate after the last iteration.

    Leaves `per_class.csv` and `pictures/`: image, prediction and truth of the first validation images.
    """
    train, val = run.open_scenes(config.data)
    init_default_scope("mmseg")
    encoder = read_encoder(
        run.inputs["encoder"] / ENCODER,
        config.crop_size,
        drop_path=config.drop_path,
        relative_position_bias=config.relative_position_bias,
    )
    job = DenseJob(run, config.optimization, training_dataset(train, config.crop_size), config.seed, encoder.variant)
    if config.head == "upernet":
        check_batch_norm(job)
    with seeded_everywhere(derive(Purpose.INITIALISATION, config.seed)):
        model = build_model(config, encoder, len(train.classes), sync=job.sync_norm)
    run.adapt(encoder.blocks)
    metric = PerClassIoU(ignore_index=IGNORED)
    dataset = evaluation_dataset(val, config.crop_size)
    runner = make_runner(job, model, dataset, [metric], "mmseg")
    found = train_and_evaluate(runner, PictureHook(run.folder / "pictures", len(val.classes)))
    if run.group.is_main:
        metric.write(run.folder / PER_CLASS)
        run.intervals.update(metric.intervals(config.seed))
    return {name: float(found[name]) for name in ("mIoU", "mAcc", "aAcc")}


def check_batch_norm(job: DenseJob) -> None:
    """Reject a device that takes one image at a time.

    Raises:
        ValueError: batch norm would see a single number a channel.
    """
    if job.micro == 1 and not job.sync_norm:
        raise ValueError(
            "site file, per_device_batch: a device takes one image at a time, and UperNet normalises a 1 x 1 map over "
            "a device's images. Set at least 2."
        )


def training_dataset(split: SceneSplit, size: int) -> BaseSegDataset:
    """Crops of images between half and twice as large, flipped, their colours distorted."""
    augment = [
        {"type": "RandomResize", "scale": (LONG_SIDE * size, size), "ratio_range": RATIOS, "keep_ratio": True},
        {"type": "RandomCrop", "crop_size": (size, size), "cat_max_ratio": MAX_CATEGORY_SHARE},
        {"type": "RandomFlip", "prob": 0.5},
        {"type": "PhotoMetricDistortion"},
    ]
    return _dataset(split, [_read_labels(split), *augment], test=False)


def evaluation_dataset(split: SceneSplit, size: int) -> BaseSegDataset:
    """Whole images, their short side `size` pixels; label maps keep their own size."""
    resize = {"type": "Resize", "scale": (LONG_SIDE * size, size), "keep_ratio": True}
    return _dataset(split, [resize, _read_labels(split)], test=True)


def _read_labels(split: SceneSplit) -> Described:
    return {"type": ReadLabelMap, "num_classes": len(split.classes), "zero_is_other": split.zero_is_other}


class Scenes(BaseSegDataset):
    """mmsegmentation's data set, of the pictures that a split lists, or of all in its folders."""

    def __init__(self, split: SceneSplit, **options: Any) -> None:
        self.split = split
        super().__init__(**options)

    def load_data_list(self) -> list[dict[str, Any]]:
        """As mmsegmentation's, in the order of the pictures' paths."""
        if not self.split.pairs:
            return super().load_data_list()
        root = self.split.root
        same = {"label_map": self.label_map, "reduce_zero_label": self.reduce_zero_label}
        return [
            {"img_path": str(root / image), "seg_map_path": str(root / labels), "seg_fields": [], **same}
            for image, labels in sorted(self.split.pairs)
        ]


def _dataset(split: SceneSplit, transforms: list[dict[str, Any]], *, test: bool) -> BaseSegDataset:
    """Label 0 is ignored where it is no class, as ADE20K's "other"."""
    return Scenes(
        split,
        data_root=str(split.root),
        data_prefix={"img_path": split.images, "seg_map_path": split.labels},
        metainfo={"classes": split.classes},
        reduce_zero_label=split.zero_is_other,
        pipeline=[{"type": ReadPicture}, *transforms, {"type": "PackSegInputs"}],
        test_mode=test,
    )


class PerClassIoU(IoUMetric):
    """mmsegmentation's metric, which keeps the table it would only log, and the pixels of each image."""

    per_class: dict[str, np.ndarray]
    per_image: list[Tensor]  # intersection, union, label; each [images, classes]

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """The means, in percent, where mmsegmentation rounds them to two digits; the main process alone is asked, with
        the images of all in their order.
        """
        intersection, union, _, label = zip(*results, strict=True)
        self.per_image = [torch.stack(part) for part in (intersection, union, label)]
        in_float64 = ((one.double() for one in part) for part in zip(*results, strict=True))  # of over 2^24 pixels
        areas: Any = [sum(part) for part in in_float64]
        to_metrics: Any = self.total_area_to_metrics
        self.per_class = to_metrics(*areas, self.metrics, self.nan_to_num, self.beta)
        rounded = super().compute_metrics(results)
        exact = {"mIoU": self.per_class["IoU"], "mAcc": self.per_class["Acc"], "aAcc": self.per_class["aAcc"]}
        return {name: float(100.0 * np.nanmean(exact[name]) if name in exact else rounded[name]) for name in rounded}

    def intervals(self, seed: int) -> dict[str, Interval]:
        """95 % intervals of the means, in percent."""
        return bootstrap_iou(*self.per_image, seed=seed)

    def write(self, path: Any) -> None:
        """The table: a row a class, in percent; empty where the class does not occur."""
        classes = cast(Sequence[str], cast(dict[str, Any], self.dataset_meta)["classes"])
        written = io.StringIO()
        writer = csv.writer(written)
        writer.writerow(["class", "IoU", "accuracy"])
        for name, iou, accuracy in zip(classes, self.per_class["IoU"], self.per_class["Acc"], strict=True):
            writer.writerow([name, *("" if np.isnan(v) else f"{100 * v:.2f}" for v in (iou, accuracy))])
        write_text(path, written.getvalue())


# ---- the model in mmsegmentation's words (official downstream_tasks/semantic_segmentation) -------------------------


def build_model(config: Segmentation, encoder: Encoder, num_classes: int, *, sync: bool) -> nn.Module:
    """The heads on the encoder; SyncBN, or plain batch norm (one process, or a CPU)."""
    describe = _upernet if config.head == "upernet" else _linear
    described = {
        "type": "EncoderDecoder",
        "data_preprocessor": _preprocessor(config, encoder),
        **describe(config, encoder, num_classes, sync),
        "test_cfg": ConfigDict(mode="slide", crop_size=(config.crop_size,) * 2, stride=(config.stride,) * 2),
    }
    with warnings.catch_warnings():  # as in the official code, a crop's ignored pixels count as zeros in the mean
        warnings.filterwarnings("ignore", message=".*avg_non_ignore")
        model = MODELS.build(described)
    initialise_heads(model)
    return model


def _preprocessor(config: Segmentation, encoder: Encoder) -> Described:
    mean, std = byte_stats(encoder)
    return {
        "type": "SegDataPreProcessor",
        "mean": mean,
        "std": std,
        "bgr_to_rgb": True,
        "pad_val": 0,
        "seg_pad_val": IGNORED,
        "size": (config.crop_size, config.crop_size),
    }


def _upernet(config: Segmentation, encoder: Encoder, num_classes: int, sync: bool) -> Described:
    """UperNet (arXiv 1807.10221), and an auxiliary head on the third map."""
    dim = encoder.variant.dim
    shared = {
        "num_classes": num_classes,
        "norm_cfg": {"type": "SyncBN" if sync else "BN", "requires_grad": True},
        "align_corners": False,
        "dropout_ratio": 0.1,
    }
    return {
        "backbone": {"type": "CaebenchPyramid", "encoder": encoder, "norm": _norm(sync)},
        "decode_head": {
            "type": "UPerHead",
            "in_channels": [dim] * 4,
            "in_index": [0, 1, 2, 3],
            "pool_scales": (1, 2, 3, 6),
            "channels": config.channels,
            "loss_decode": _cross_entropy(1.0),
            **shared,
        },
        "auxiliary_head": {
            "type": "FCNHead",
            "in_channels": dim,
            "in_index": 2,
            "channels": config.aux_channels,
            "num_convs": 1,
            "concat_input": False,
            "loss_decode": _cross_entropy(0.4),
            **shared,
        },
    }


def _linear(config: Segmentation, encoder: Encoder, num_classes: int, sync: bool) -> Described:
    """A linear layer on each frozen, normalised patch token (DINOv2, arXiv 2304.07193, Sec. 7.4)."""
    dim = encoder.variant.dim
    return {
        "backbone": {"type": "CaebenchFrozen", "encoder": encoder, "norm": _norm(sync)},
        "decode_head": {
            "type": "FCNHead",
            "in_channels": dim,
            "in_index": 0,
            "channels": dim,
            "num_convs": 0,
            "concat_input": False,
            "dropout_ratio": 0.0,
            "num_classes": num_classes,
            "align_corners": False,
            "loss_decode": _cross_entropy(1.0),
        },
    }


def _norm(sync: bool) -> type[nn.Module]:
    return nn.SyncBatchNorm if sync else nn.BatchNorm2d


def _cross_entropy(weight: float) -> Described:
    return {"type": "CrossEntropyLoss", "use_sigmoid": False, "loss_weight": weight}
