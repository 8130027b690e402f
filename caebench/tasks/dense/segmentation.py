"""UperNet on ADE20K (official downstream_tasks/semantic_segmentation), through mmsegmentation."""

import csv
import warnings
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from mmengine.config import ConfigDict
from mmengine.registry import MODELS, init_default_scope
from mmseg.datasets import BaseSegDataset
from mmseg.evaluation import IoUMetric
from torch import nn

from caebench.config.dense import Segmentation
from caebench.data.randomness import Purpose, derive, seeded_everywhere
from caebench.data.scenes import SceneSplit
from caebench.models.checkpoint import ENCODER, read_encoder
from caebench.tasks.dense.engine import DenseJob, make_runner, train_and_evaluate
from caebench.tasks.dense.pictures import PictureHook
from caebench.training.run import Run

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # ImageNet's, of bytes
LONG_SIDE = 4  # times the short one: 2048 and 512
RATIOS = (0.5, 2.0)
MAX_CATEGORY_SHARE = 0.75  # of a crop
PER_CLASS = "per_class.csv"
IGNORED = 255


def segment(config: Segmentation, run: Run) -> dict[str, Any]:
    """Train UperNet with the encoder, and evaluate it after the last iteration.

    Leaves `per_class.csv` and `pictures/`: image, prediction and truth of the first validation images.
    """
    train, val = run.open_scenes(config.data, "train"), run.open_scenes(config.data, "val")
    init_default_scope("mmseg")
    encoder = read_encoder(
        run.inputs["encoder"] / ENCODER,
        config.crop_size,
        drop_path=config.drop_path,
        relative_position_bias=config.relative_position_bias,
    )
    job = DenseJob(run, config.optimization, make_dataset(config, train, training=True), config.seed)
    if job.micro == 1 and not job.sync_norm:
        raise ValueError(
            f"site file, per_device_batch {run.site.per_device_batch}: UperNet normalises a 1 x 1 map over the images "
            "of a device. Set at least 2."
        )
    with seeded_everywhere(derive(Purpose.INITIALISATION, config.seed)):
        model = build_model(config, encoder, len(train.classes), sync=job.sync_norm)
    run.compile(encoder.blocks)
    metric = PerClassIoU(ignore_index=IGNORED)
    dataset = make_dataset(config, val, training=False)
    runner = make_runner(job, model, dataset, [metric], "mmseg")
    found = train_and_evaluate(runner, PictureHook(run.folder / "pictures", len(val.classes)))
    if run.group.is_main:
        metric.write(run.folder / PER_CLASS)
    return {name: float(found[name]) for name in ("mIoU", "mAcc", "aAcc")}


def build_model(config: Segmentation, encoder: nn.Module, num_classes: int, *, sync: bool) -> nn.Module:
    """UperNet and its auxiliary head on the encoder; SyncBN, or plain batch norm (one process, or a CPU)."""
    norm = {"type": "SyncBN" if sync else "BN", "requires_grad": True}
    dim = cast(Any, encoder).variant.dim
    head = {"num_classes": num_classes, "norm_cfg": norm, "align_corners": False, "dropout_ratio": 0.1}
    described = {
        "type": "EncoderDecoder",
        "data_preprocessor": {
            "type": "SegDataPreProcessor",
            "mean": MEAN,
            "std": STD,
            "bgr_to_rgb": True,
            "pad_val": 0,
            "seg_pad_val": IGNORED,
            "size": (config.crop_size, config.crop_size),
        },
        "backbone": {
            "type": "CaebenchPyramid",
            "encoder": encoder,
            "norm": nn.SyncBatchNorm if sync else nn.BatchNorm2d,
        },
        "decode_head": {
            "type": "UPerHead",
            "in_channels": [dim] * 4,
            "in_index": [0, 1, 2, 3],
            "pool_scales": (1, 2, 3, 6),
            "channels": dim,
            "loss_decode": {"type": "CrossEntropyLoss", "use_sigmoid": False, "loss_weight": 1.0},
            **head,
        },
        "auxiliary_head": {
            "type": "FCNHead",
            "in_channels": dim,
            "in_index": 2,
            "channels": config.aux_channels,
            "num_convs": 1,
            "concat_input": False,
            "loss_decode": {"type": "CrossEntropyLoss", "use_sigmoid": False, "loss_weight": 0.4},
            **head,
        },
        "test_cfg": ConfigDict(mode="slide", crop_size=(config.crop_size,) * 2, stride=(config.stride,) * 2),
    }
    with warnings.catch_warnings():  # as in the official code, a crop's ignored pixels count as zeros in the mean
        warnings.filterwarnings("ignore", message=".*avg_non_ignore")
        model = MODELS.build(described)
    for part in ("decode_head", "auxiliary_head"):  # not the backbone: its weights are loaded
        getattr(model, part).init_weights()
    model._is_init = True
    return model


def make_dataset(config: Segmentation, split: SceneSplit, *, training: bool) -> BaseSegDataset:
    """A split of ADE20K behind mmsegmentation's transforms; label 0 ("other") is ignored."""
    size = config.crop_size
    scale = (LONG_SIDE * size, size)
    load: list[dict[str, Any]] = [
        {"type": "LoadImageFromFile"},
        {"type": "LoadAnnotations"},
    ]
    augment: list[dict[str, Any]] = [
        {"type": "RandomResize", "scale": scale, "ratio_range": RATIOS, "keep_ratio": True},
        {"type": "RandomCrop", "crop_size": (size, size), "cat_max_ratio": MAX_CATEGORY_SHARE},
        {"type": "RandomFlip", "prob": 0.5},
        {"type": "PhotoMetricDistortion"},
    ]
    resize = [load[0], {"type": "Resize", "scale": scale, "keep_ratio": True}, load[1]]  # labels keep their size
    return BaseSegDataset(
        data_root=str(split.root),
        data_prefix={"img_path": split.images, "seg_map_path": split.labels},
        metainfo={"classes": split.classes},
        reduce_zero_label=True,
        pipeline=[*(load + augment if training else resize), {"type": "PackSegInputs"}],
        test_mode=not training,
    )


class PerClassIoU(IoUMetric):
    """mmsegmentation's metric, which keeps the table it would only log."""

    per_class: dict[str, np.ndarray]

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """The means, in percent; the table stays in `per_class`."""
        areas: Any = [sum(part) for part in zip(*results, strict=True)]
        to_metrics: Any = self.total_area_to_metrics
        self.per_class = to_metrics(*areas, self.metrics, self.nan_to_num, self.beta)
        return {name: float(value) for name, value in super().compute_metrics(results).items()}

    def write(self, path: Any) -> None:
        """The table: a row a class, in percent; empty where the class does not occur."""
        classes = cast(Sequence[str], cast(dict[str, Any], self.dataset_meta)["classes"])
        with open(path, "w", newline="", encoding="utf8") as file:
            writer = csv.writer(file)
            writer.writerow(["class", "IoU", "accuracy"])
            for name, iou, accuracy in zip(classes, self.per_class["IoU"], self.per_class["Acc"], strict=True):
                writer.writerow([name, *("" if np.isnan(v) else f"{100 * v:.2f}" for v in (iou, accuracy))])
