"""Mask R-CNN and Cascade Mask R-CNN (official downstream_tasks/detection), through mmdetection."""

import contextlib
import csv
import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmdet.datasets import CocoDataset
from mmdet.datasets.api_wrappers import COCO
from mmdet.evaluation import CocoMetric
from mmdet.evaluation.metrics import coco_metric
from mmengine.registry import init_default_scope
from pycocotools.cocoeval import COCOeval

from caebench.checkpoints.encoder_file import read_encoder
from caebench.data.loading import Grouping
from caebench.data.randomness import Purpose, derive, seeded_everywhere
from caebench.datasets.instances import MIN_SIDE
from caebench.datasets.splits import SceneSplit
from caebench.files.atomic import write_text
from caebench.files.layout import ENCODER, PER_CLASS
from caebench.specs.evaluations.detection import Detection
from caebench.tasks.dense.detection_model import build_model
from caebench.tasks.dense.engine import DenseJob, make_runner, train_and_evaluate
from caebench.tasks.dense.pictures import BoxPictureHook
from caebench.tasks.dense.reading import ReadPicture
from caebench.tasks.intervals import AP_AT, Detections, Interval, bootstrap_ap, read_matches
from caebench.training.run import Run

CORNERS = 6  # numbers of the smallest polygon
KINDS = {"box": "bbox", "mask": "segm"}
AP = {"": "mAP", "50": "mAP_50", "75": "mAP_75"}  # in the order of COCOeval's numbers


def detect(config: Detection, run: Run) -> dict[str, Any]:
    """Train the detector with the encoder, and evaluate it after the last iteration; AP in percent.

    Leaves `per_class.csv` and `pictures/`: predictions next to the ground truth of the first validation images.
    """
    train, val = run.open_scenes(config.data)
    init_default_scope("mmdet")
    encoder = read_encoder(run.inputs["encoder"] / ENCODER, drop_path=config.drop_path)
    dataset = make_dataset(config, train, training=True)
    order = Grouping(orientations(dataset), config.orientation_group)
    job = DenseJob(run, config.optimization, dataset, config.seed, encoder.variant, order)
    with seeded_everywhere(derive(Purpose.INITIALISATION, config.seed)):
        model = build_model(config, encoder, len(train.classes), sync=job.sync_norm)
    run.adapt(encoder.blocks)
    dataset = make_dataset(config, val, training=False)
    metrics = make_metrics(val.root / val.labels)
    runner = make_runner(job, model, dataset, metrics, "mmdet")
    found = train_and_evaluate(runner, BoxPictureHook(run.folder / "pictures", len(val.classes)))
    if run.group.is_main:
        write_per_class(run.folder / PER_CLASS, val.classes, found)
        run.intervals.update(intervals_of(metrics, config.seed))
    return average_precisions(found)


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Keep what pycocotools prints to itself."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


@contextlib.contextmanager
def watch_matches() -> Iterator[list[tuple[Detections, list[float]]]]:
    """Fills with what pycocotools matched for mmdetection, which keeps only the means, and with its own numbers."""
    seen: list[tuple[Detections, list[float]]] = []

    class Watched(COCOeval):
        def summarize(self) -> None:
            super().summarize()
            seen.append((read_matches(self), self.stats.tolist()))

    original, coco_metric.COCOeval = coco_metric.COCOeval, Watched
    try:
        yield seen
    finally:
        coco_metric.COCOeval = original


class ById(COCO):
    """pycocotools' index of an annotation file, with images, objects and categories by id: no number depends on their
    order in the file, by which mmdetection numbers the classes.
    """

    def createIndex(self) -> None:
        """Sort, count objects from 1, drop polygons of less than three corners, which pycocotools stops at; index."""
        for part in ("images", "annotations", "categories"):
            self.dataset[part].sort(key=lambda one: one["id"])
        shift = int(any(one["id"] == 0 for one in self.dataset["annotations"]))  # pycocotools takes 0 for no match
        for one in self.dataset["annotations"]:
            one["id"] += shift
            if isinstance(polygons := one.get("segmentation"), list):
                one["segmentation"] = [polygon for polygon in polygons if len(polygon) >= CORNERS]
        super().createIndex()


class CocoById(CocoDataset):
    """mmdetection's data set, with classes and images by id."""

    COCOAPI = ById


class QuietCocoMetric(CocoMetric):
    """mmdetection's metric, by id, without prints and without its rounding; keeps what was matched on each image."""

    matched: Detections | None = None  # none if no object was found

    def __init__(self, annotations: Path, metric: str, prefix: str) -> None:
        super().__init__(metric=metric, classwise=True, prefix=prefix)
        self._coco_api = ById(str(annotations))

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """COCOeval's own numbers; the main process alone is asked, with the images of all in their order."""
        with silence(), watch_matches() as seen:
            found = super().compute_metrics(results)
        if not seen:
            self.matched = None
            return found
        self.matched, stats = seen[0]
        return {**found, **{f"{self.metrics[0]}_{name}": stats[place] for place, name in enumerate(AP.values())}}


@silence()
def make_metrics(annotations: Path) -> list[QuietCocoMetric]:
    """COCO's evaluation of boxes and of masks."""
    return [QuietCocoMetric(annotations, name, kind) for kind, name in KINDS.items()]


def average_precisions(found: dict[str, Any]) -> dict[str, float]:
    """AP in percent; 0 where it has no entry, as no object was found."""
    return {
        f"AP_{kind}{suffix}": 100.0 * max(0.0, float(found.get(f"{kind}/{KINDS[kind]}_{name}", 0.0)))
        for kind in KINDS
        for suffix, name in AP.items()
    }


def intervals_of(metrics: list[QuietCocoMetric], seed: int) -> dict[str, Interval]:
    """95 % intervals of `average_precisions`; where no object was found, AP is 0 on any images."""
    nothing = dict.fromkeys(("AP", *AP_AT), (0.0, 0.0))
    found = {
        kind: nothing if metric.matched is None else bootstrap_ap(metric.matched, seed)
        for kind, metric in zip(KINDS, metrics, strict=True)
    }
    return {name.replace("AP", f"AP_{kind}"): interval for kind in KINDS for name, interval in found[kind].items()}


@silence()
def make_dataset(config: Detection, split: SceneSplit, *, training: bool) -> CocoById:
    """A split of COCO behind mmdetection's transforms."""
    load: list[dict[str, Any]] = [
        {"type": ReadPicture},
        {"type": "LoadAnnotations", "with_bbox": True, "with_mask": True},
    ]
    test = [load[0], _resize((config.short_sides[-1],), config.long_side), load[1]]
    meta = ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")
    return CocoById(
        ann_file=split.labels,
        data_root=str(split.root),
        data_prefix={"img": split.images},
        metainfo={"classes": split.classes},
        filter_cfg={"filter_empty_gt": True, "min_size": MIN_SIDE} if training else None,
        pipeline=[*(load + _augment(config) if training else test), {"type": "PackDetInputs", "meta_keys": meta}],
        test_mode=not training,
    )


def orientations(dataset: CocoDataset) -> list[bool]:
    """Whether each image is wider than tall: images of one kind are padded less when they stand in one batch."""
    infos = (dataset.get_data_info(number) for number in range(len(dataset)))
    return [info["width"] > info["height"] for info in infos]


def _augment(config: Detection) -> list[dict[str, Any]]:
    """Flip, then one of two policies: resize; or resize, crop and resize (official, after DETR, arXiv 2005.12872)."""
    resize = _resize(config.short_sides, config.long_side)
    crop = {
        "type": "RandomCrop",
        "crop_type": "absolute_range",
        "crop_size": config.crop_sides,
        "allow_negative_crop": True,
    }
    first = _resize(config.first_short_sides, config.long_side)
    return [
        {"type": "RandomFlip", "prob": 0.5},
        {"type": "RandomChoice", "transforms": [[resize], [first, crop, resize]]},
    ]


def _resize(short_sides: tuple[int, ...], long_side: int) -> dict[str, Any]:
    if len(short_sides) == 1:
        return {"type": "Resize", "scale": (long_side, short_sides[0]), "keep_ratio": True}
    return {"type": "RandomChoiceResize", "scales": [(long_side, side) for side in short_sides], "keep_ratio": True}


def write_per_class(path: Path, classes: tuple[str, ...], found: dict[str, Any]) -> None:
    """A row a class, AP in percent; empty where the class does not occur."""
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(["class", *(f"AP_{kind}" for kind in KINDS)])
    for name in classes:
        values = [float(found.get(f"{kind}/{name}_precision", 0.0)) for kind in KINDS]
        writer.writerow([name, *("" if math.isnan(value) else f"{100 * value:.1f}" for value in values)])
    write_text(path, written.getvalue())
