"""AP computed a second way, regions in half precision, and what Mask R-CNN is made of."""

import csv
import json

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from pycocotools import mask as coco_masks

from caebench.datasets.coco import PUBLISHED
from caebench.datasets.scenes import SceneSplit
from caebench.models.vit import Encoder
from caebench.planning.scale import NANO
from caebench.specs.evaluations.detection import coco, coco_cascade
from caebench.specs.site import Site
from caebench.specs.variants import Variant
from caebench.tasks.dense import detection, detection_model, engine
from caebench.tasks.intervals import ap_scores
from caebench.training.distributed import join_group
from caebench.training.optim import encoder_groups
from caebench.training.run import Run

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
    pairs, path = list(scenes()), tmp_path_factory.mktemp("coco") / "instances.json"
    annotation_file(path, [truth for truth, _ in pairs])
    found, made = evaluate(path, pairs)
    return found, pairs, made


def evaluate(path, pairs):
    """mmdetection's numbers for the predictions, and the metrics."""
    found, made = {}, detection.make_metrics(path)
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
    return found, made


def reorder(path):
    """List images, objects and categories in another order, which says nothing."""
    content = json.loads(path.read_text())
    for part in ("images", "annotations", "categories"):
        content[part] = [*content[part][1::2], *reversed(content[part][::2])]
    path.write_text(json.dumps(content))


def test_the_order_of_an_annotation_file_changes_no_number(evaluated, tmp_path):
    init_default_scope("mmdet")
    found, pairs, made = evaluated
    annotation_file(tmp_path / "instances.json", [truth for truth, _ in pairs])
    plain = detection.make_dataset(coco(), SceneSplit(tmp_path, ".", "instances.json", CLASSES, ""), training=True)
    reorder(tmp_path / "instances.json")
    again, remade = evaluate(tmp_path / "instances.json", pairs)
    assert again.keys() == found.keys()
    np.testing.assert_array_equal(list(again.values()), list(found.values()))
    assert detection.intervals_of(remade, seed=0) == detection.intervals_of(made, seed=0)
    dataset = detection.make_dataset(coco(), SceneSplit(tmp_path, ".", "instances.json", CLASSES, ""), training=True)
    assert dataset.cat_ids == plain.cat_ids == [10, 20, 30]
    infos = [[one.get_data_info(n) for n in range(len(one))] for one in (plain, dataset)]
    assert infos[0] == infos[1] and len(infos[0]) > 5


@pytest.mark.parametrize(("kind", "iou"), [("box", box_iou), ("mask", mask_iou)])
def test_ap_agrees_with_one_computed_from_scratch(evaluated, kind, iou):
    found, pairs, _ = evaluated
    ours = detection.average_precisions(found)
    assert 10 < ours[f"AP_{kind}"] < 90
    assert ours[f"AP_{kind}"] == pytest.approx(mean_precision(pairs, THRESHOLDS, iou), abs=1e-9)
    assert ours[f"AP_{kind}50"] == pytest.approx(mean_precision(pairs, [0.5], iou), abs=1e-9)
    assert ours[f"AP_{kind}75"] == pytest.approx(mean_precision(pairs, [0.75], iou), abs=1e-9)


def test_each_ap_has_an_interval_around_it(evaluated):
    found, pairs, made = evaluated
    ours, ends = detection.average_precisions(found), detection.intervals_of(made, seed=0)
    assert ends.keys() == ours.keys()
    for name, (low, high) in ends.items():
        assert 0 < low < ours[name] < high <= 100
    for metric, kind in zip(made, detection.KINDS, strict=True):
        matched = metric.matched
        exact = dict(zip(("", "50", "75"), ap_scores(matched, np.ones(len(pairs))), strict=True))
        assert exact == pytest.approx({name: ours[f"AP_{kind}{name}"] for name in exact}, abs=1e-9)


def test_where_nothing_is_found_nothing_moves(tmp_path):
    annotation_file(tmp_path / "instances.json", [])
    bare = detection.make_metrics(tmp_path / "instances.json")
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


@pytest.mark.parametrize("recipe", [coco, coco_cascade])
def test_the_heads_train_on_two_thousand_proposals_and_look_at_one_thousand(recipe):
    """Official configs/_base_/models/mask_rcnn_vit_fpn.py; mmdetection 2.11's cascade_mask_rcnn_r50_fpn.py."""
    config = recipe()
    train, test = detection_model._train(config, recipe is coco_cascade), detection_model._test(config)
    for proposals, num in ((train["rpn_proposal"], 2000), (test["rpn"], 1000)):
        assert (proposals["nms_pre"], proposals["max_per_img"], proposals["min_bbox_size"]) == (num, num, 0)


def test_every_resize_keeps_the_long_side_within_1333_pixels():
    """Official vit_base_giou_4conv1f_*: also before the crop, where DETR allows 4200."""
    policies = detection._augment(coco())[1]["transforms"]
    resizes = [step for policy in policies for step in policy if "scales" in step]
    assert [len(step["scales"]) for step in resizes] == [11, 3, 11]
    assert {long for step in resizes for long, _ in step["scales"]} == {1333}
    assert [short for _, short in resizes[1]["scales"]] == [400, 500, 600]


def test_a_table_that_all_blocks_share_learns_at_the_whole_rate():
    """It belongs to no block: the first one's rate would be 0.75^12, a thirtieth of it."""
    encoder = Encoder(Variant(32, 4, 2, 8), 48, relative_position_bias="shared")
    model = detection_model.build_model(NANO.apply(coco()), encoder, len(CLASSES), sync=False)
    (table,) = encoder.relative_position_biases.parameters()
    (group,) = [g for g in engine.dense_groups(model, 0.75) if any(p is table for p in g["params"])]
    assert (group["lr_scale"], group["decays"]) == (1.0, True)


def test_a_table_of_a_block_learns_at_its_rate():
    encoder = Encoder(Variant(32, 4, 2, 8), 48, relative_position_bias="block")
    scales = {id(p): group["lr_scale"] for group in encoder_groups(encoder, 0.5) for p in group["params"]}
    assert [scales[id(bias.table)] for bias in encoder.relative_position_biases] == [1 / 16, 1 / 8, 1 / 4, 1 / 2]


def test_a_final_norm_belongs_to_no_block():
    encoder = Encoder(Variant(32, 4, 2, 8), 48)
    groups = encoder_groups(encoder, 0.5)
    scales = {id(p): group["lr_scale"] for group in groups for p in group["params"]}
    assert {scales[id(p)] for p in encoder.norm.parameters()} == {1.0}
    assert len(scales) == sum(p.requires_grad for p in encoder.parameters())


def scenes_of(sizes, path):
    """An annotation file with an object in each image."""
    images = [{"id": n, "file_name": f"{n}.jpg", "width": w, "height": h} for n, (w, h) in enumerate(sizes)]
    box = {"bbox": [0, 0, 8, 8], "area": 64, "iscrowd": 0, "category_id": 1, "segmentation": [[0, 0, 8, 0, 8, 8]]}
    annotations = [{"id": n + 1, "image_id": n, **box} for n in range(len(sizes))]
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "cat"}]}
    path.write_text(json.dumps(content))


def test_small_images_are_not_trained_on_and_the_others_are_told_by_their_longer_side(tmp_path):
    scenes_of([(64, 48), (31, 64), (48, 64), (32, 32), (64, 31)], tmp_path / "labels.json")
    split = SceneSplit(tmp_path, ".", "labels.json", ("cat",), "")
    dataset = detection.make_dataset(coco(), split, training=True)
    assert [dataset.get_data_info(n)["img_id"] for n in range(len(dataset))] == [0, 2, 3]
    assert detection.orientations(dataset) == [True, False, False]


def test_groups_of_images_must_fit_into_a_batch():
    with pytest.raises(ValueError, match=r"orientation_group 3: it must divide optimization\.global_batch 32"):
        coco().replace(orientation_group=3)


class Stopped(Exception):
    """A job got as far as the test needs."""


def training_job(config, tmp_path, monkeypatch):
    """The job that `detect` makes on 30 images, every third wider than tall; each sample is its image's number."""
    scenes_of([(64, 48) if number % 3 == 0 else (48, 64) for number in range(30)], tmp_path / "labels.json")
    split = SceneSplit(tmp_path, ".", "labels.json", ("cat",), "")
    made = []

    def keep(*parts):
        made.append(engine.DenseJob(*parts))
        raise Stopped

    monkeypatch.setattr(detection, "DenseJob", keep)
    monkeypatch.setattr(detection, "read_encoder", lambda *_, **__: Encoder(Variant(32, 4, 2, 8), 48))
    monkeypatch.setattr(Run, "open_scenes", lambda *_: (split, split))
    run = Run(tmp_path, {"encoder": tmp_path}, Site(device="cpu", num_workers=0), join_group("cpu"))
    with pytest.raises(Stopped):
        detection.detect(config, run)
    (job,) = made
    assert len(job.dataset) == 30
    job.dataset.dataset = range(30)
    return job


@pytest.mark.parametrize("size", [2, 4])
def test_a_job_trains_on_runs_of_one_orientation(size, tmp_path, monkeypatch):
    """mmdetection 2.11, `GroupSampler`: the images of a GPU are all wider than tall, or none is."""
    config = coco()
    config = config.replace(
        optimization=config.optimization.replace(global_batch=8, iterations=12), orientation_group=size
    )
    job = training_job(config, tmp_path, monkeypatch)
    for batch in job.batches(0, 12):
        runs = [{index % 3 == 0 for index in batch[place : place + size]} for place in range(0, 8, size)]
        assert [len(kinds) for kinds in runs] == [1] * len(runs)


def test_the_published_categories_are_those_of_mmdetection():
    assert tuple(PUBLISHED.values()) == detection.CocoDataset.METAINFO["classes"]
