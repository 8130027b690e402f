"""AP computed a second way, regions in half precision, and what Mask R-CNN is made of."""

import csv
import json

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from pycocotools import mask as coco_masks

from caebench.config.variants import Variant
from caebench.models.vit import Encoder
from caebench.plan.scale import NANO
from caebench.recipes.dense import coco, coco_cascade
from caebench.tasks.dense import detection, detection_model, engine
from caebench.tasks.intervals import ap_scores

CLASSES = ("cat", "dog", "never")
SIDE = 64
THRESHOLDS = [0.5 + 0.05 * step for step in range(10)]


def rectangle(x, y, width, height):
    mask = np.zeros((SIDE, SIDE), bool)
    mask[y : y + height, x : x + width] = True
    return mask


def box_of(mask):
    ys, xs = np.nonzero(mask)
    return [float(xs.min()), float(ys.min()), float(xs.max() + 1), float(ys.max() + 1)]


def scenes(num=12):
    """Truth and predictions of some images: displaced, missed, doubled, of the wrong class, and out of the air."""
    rng = np.random.default_rng(0)
    for _ in range(num):
        truth, found = [], []
        for _ in range(rng.integers(0, 4)):
            x, y, width, height = (int(n) for n in (*rng.integers(0, 30, 2), *rng.integers(15, 30, 2)))
            label = int(rng.integers(2))
            truth.append((label, rectangle(x, y, width, height)))
            for _ in range(rng.integers(1, 3)):
                dx, dy, dw, dh = (int(n) for n in rng.integers(0, 3, 4))
                guess = label if rng.uniform() < 0.8 else 1 - label
                score = float(rng.uniform(0.3 if guess == label else 0.0, 1.0))
                found.append((guess, score, rectangle(x + dx, y + dy, width + dw, height - dh)))
        found.append(
            (int(rng.integers(2)), float(rng.uniform(0.0, 0.6)), rectangle(*(int(n) for n in rng.integers(5, 30, 4))))
        )
        yield truth, found


def annotation_file(path, truths):
    annotations = []
    for image, truth in enumerate(truths):
        for label, mask in truth:
            rle = coco_masks.encode(np.asfortranarray(mask.astype(np.uint8)))
            x0, y0, x1, y1 = box_of(mask)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": 10 * (label + 1),
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "area": int(mask.sum()),
                    "iscrowd": 0,
                    "segmentation": {"size": [SIDE, SIDE], "counts": rle["counts"].decode()},
                }
            )
    images = [{"id": n, "file_name": f"{n}.jpg", "height": SIDE, "width": SIDE} for n in range(len(truths))]
    categories = [{"id": 10 * (n + 1), "name": name} for n, name in enumerate(CLASSES)]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))


def box_iou(one, other):
    a, b = box_of(one), box_of(other)
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(0.0, width) * max(0.0, height)
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


def mask_iou(one, other):
    return (one & other).sum() / (one | other).sum()


def average_precision(pairs, label, threshold, iou):
    """One class at one IoU, from scratch: greedy matching by score, precision at 101 recalls."""
    hits, total = [], 0
    for truth, found in pairs:
        objects = [mask for name, mask in truth if name == label]
        total += len(objects)
        free = set(range(len(objects)))
        for _, score, mask in sorted((f for f in found if f[0] == label), key=lambda f: -f[1]):
            overlaps = {n: iou(mask, objects[n]) for n in free}
            best = max(overlaps, key=lambda n: overlaps[n], default=None)
            hit = best is not None and overlaps[best] >= threshold
            free -= {best} if hit else set()
            hits.append((score, hit))
    if not total:
        return None
    right = np.cumsum([hit for _, hit in sorted(hits, key=lambda pair: -pair[0])])
    recall, precision = right / total, right / np.arange(1, len(right) + 1)
    reached = [precision[recall >= level - 1e-12] for level in np.linspace(0, 1, 101)]
    return float(np.mean([part.max() if len(part) else 0.0 for part in reached]))


def mean_precision(pairs, thresholds, iou):
    values = [average_precision(pairs, label, t, iou) for label in range(len(CLASSES)) for t in thresholds]
    return 100 * np.mean([value for value in values if value is not None])


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """mmdetection's numbers for the scenes, the scenes, and the metrics."""
    pairs, folder = list(scenes()), tmp_path_factory.mktemp("coco")
    annotation_file(folder / "instances.json", [truth for truth, _ in pairs])
    found, made = {}, detection.make_metrics(folder / "instances.json")
    for metric in made:
        metric.dataset_meta = {"classes": CLASSES}
        for image, (_, objects) in enumerate(pairs):
            instances = {
                "bboxes": torch.tensor([box_of(mask) for _, _, mask in objects]),
                "scores": torch.tensor([score for _, score, _ in objects]),
                "labels": torch.tensor([label for label, _, _ in objects]),
                "masks": torch.tensor(np.stack([mask for *_, mask in objects])),
            }
            metric.process({}, [{"pred_instances": instances, "img_id": image, "ori_shape": (SIDE, SIDE)}])
        found |= metric.evaluate(len(pairs))
    return found, pairs, made


@pytest.mark.parametrize(("kind", "iou"), [("box", box_iou), ("mask", mask_iou)])
def test_ap_agrees_with_one_computed_from_scratch(evaluated, kind, iou):
    found, pairs, _ = evaluated
    ours = detection.average_precisions(found)
    assert 10 < ours[f"AP_{kind}"] < 90
    assert ours[f"AP_{kind}"] == pytest.approx(mean_precision(pairs, THRESHOLDS, iou), abs=0.051)  # tenths
    assert ours[f"AP_{kind}50"] == pytest.approx(mean_precision(pairs, [0.5], iou), abs=0.051)
    assert ours[f"AP_{kind}75"] == pytest.approx(mean_precision(pairs, [0.75], iou), abs=0.051)


def test_each_ap_has_an_interval_around_it(evaluated):
    found, pairs, made = evaluated
    ours, ends = detection.average_precisions(found), detection.intervals_of(made, seed=0)
    assert ends.keys() == ours.keys()
    for name, (low, high) in ends.items():
        assert 0 < low < ours[name] < high <= 100
    for metric, kind in zip(made, detection.KINDS, strict=True):
        matched = metric.matched
        exact = dict(zip(("", "50", "75"), ap_scores(matched, np.ones(len(pairs))), strict=True))
        assert exact == pytest.approx({name: ours[f"AP_{kind}{name}"] for name in exact}, abs=0.051)  # tenths


def test_where_nothing_is_found_nothing_moves():
    bare = [detection.QuietCocoMetric(metric=name, prefix=kind) for kind, name in detection.KINDS.items()]
    assert detection.intervals_of(bare, seed=0) == dict.fromkeys(detection.average_precisions({}), (0.0, 0.0))


def test_the_table_of_classes(evaluated, tmp_path):
    found, pairs, _ = evaluated
    detection.write_per_class(tmp_path / "per_class.csv", CLASSES, found)
    rows = list(csv.DictReader((tmp_path / "per_class.csv").read_text(encoding="utf8").splitlines()))
    assert [row["class"] for row in rows] == list(CLASSES)
    assert rows[2] == {"class": "never", "AP_box": "", "AP_mask": ""}
    of_cat = 100 * np.mean([average_precision(pairs, 0, t, mask_iou) for t in THRESHOLDS])
    assert float(rows[0]["AP_mask"]) == pytest.approx(of_cat, abs=0.051)


def test_nothing_found_is_an_ap_of_zero():
    assert set(detection.average_precisions({}).values()) == {0.0}


@pytest.mark.parametrize("recipe", [coco, coco_cascade])
def test_every_parameter_trains_once(recipe):
    config = NANO.apply(recipe())
    init_default_scope("mmdet")
    model = detection_model.build_model(config, Encoder(Variant(32, 4, 2, 8), 48), len(CLASSES), sync=False)
    groups = engine.dense_groups(model, config.optimization.layer_decay)
    counted = [id(p) for group in groups for p in group["params"]]
    assert len(counted) == len(set(counted))
    assert set(counted) == {id(p) for p in model.parameters() if p.requires_grad}
    heads = model.roi_head.bbox_head
    assert len(heads) == 3 if recipe is coco_cascade else heads.loss_bbox.loss_weight == 10.0


def test_regions_stay_where_they_are_in_half_precision():
    """At 1000 pixels bf16 has steps of 4: mmdetection's own extractor would move the boxes."""
    init_default_scope("mmdet")
    config = coco().replace(channels=2)
    described = detection_model._extractor(config, [4, 8, 16, 32], 7)
    extractor = detection_model.MODELS.build(described)
    generator = torch.Generator().manual_seed(0)
    maps = [torch.randn(1, 2, 1024 // stride, 1024 // stride, generator=generator) for stride in (4, 8, 16, 32)]
    rois = torch.tensor([[0, 901.0, 803.0, 957.0, 861.0], [0, 601.5, 411.25, 933.75, 829.0]])
    exact = extractor(tuple(maps), rois)
    with torch.autocast("cpu", torch.bfloat16):
        found = extractor(tuple(one.bfloat16() for one in maps), rois)
    assert found == pytest.approx(exact, abs=0.02)
