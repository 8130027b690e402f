"""Intervals against their definitions, against plain resampling, and against pycocotools on repeated images."""

import contextlib
import io
import math

import numpy as np
import pytest
import torch
from mmseg.evaluation import IoUMetric
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from caebench.tasks import intervals
from caebench.tasks.probes import percent


def width(interval):
    return interval[1] - interval[0]


# Accuracies


@pytest.mark.parametrize(
    ("right", "num", "expected"),
    [
        (50, 100, (40.3832, 59.6168)),  # half: 0.5 -+ sqrt(z^2 / 400 + z^4 / 40000) / (1 + z^2 / 100)
        (0, 10, (0.0, 27.7533)),  # none: z^2 / (10 + z^2)
        (10, 10, (72.2467, 100.0)),
    ],
)
def test_wilson_by_hand(right, num, expected):
    assert intervals.binomial(100 * right / num, num) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(("right", "num"), [(1, 20), (13, 20), (7, 1000), (41_500, 50_000)])
def test_wilson_s_ends_are_the_shares_that_the_count_is_just_compatible_with(right, num):
    for end in intervals.binomial(100 * right / num, num):
        share = end / 100
        deviation = math.sqrt(share * (1 - share) / num)
        assert abs(right / num - share) / deviation == pytest.approx(1.959964, abs=1e-6)


def test_accuracies_alone_have_binomial_intervals():
    found = intervals.of_accuracies({"top1": 60.0, "top5": 90.0, "epoch": 3}, 50)
    assert found == {"top1": intervals.binomial(60.0, 50), "top5": intervals.binomial(90.0, 50)}
    assert width(intervals.binomial(60.0, 200)) == pytest.approx(0.5 * width(found["top1"]), rel=0.05)


# mIoU


def areas(num_images=30, num_classes=6, seed=0):
    """Pixels of intersection, union and label; an image shows about half of the classes, no image the last."""
    rng = np.random.default_rng(seed)
    label = rng.integers(1, 400, (num_images, num_classes)) * (rng.uniform(size=(num_images, num_classes)) < 0.5)
    label[:, -1] = 0
    intersection = (label * rng.beta(3, 2, label.shape)).astype(int)
    union = label + rng.integers(0, 60, label.shape) * (label > 0)
    return [torch.tensor(part, dtype=torch.float32) for part in (intersection, union, label)]


def by_hand(intersection, union, label):
    """The three means of some images, a class at a time."""
    ious, accuracies = [], []
    for n in range(label.shape[1]):
        common, joint, own = (float(part[:, n].sum()) for part in (intersection, union, label))
        ious += [common / joint] if joint else []
        accuracies += [common / own] if own else []
    return {
        "mIoU": 100 * np.mean(ious),
        "mAcc": 100 * np.mean(accuracies),
        "aAcc": 100 * float(intersection.sum()) / float(label.sum()),
    }


def resampled(parts, num=1500):
    """The obvious bootstrap: draw images, compute the means."""
    rng, num_images = np.random.default_rng(99), len(parts[0])
    draws = [rng.integers(num_images, size=num_images) for _ in range(num)]
    scores = [by_hand(*(part[draw] for part in parts)) for draw in draws]
    return {name: np.percentile([score[name] for score in scores], [2.5, 97.5]) for name in scores[0]}


def test_every_image_once_is_what_mmsegmentation_computes():
    parts = areas()
    found = intervals.iou_scores(*(part.double().sum(dim=0, keepdim=True) for part in parts))
    intersection, union, label = (part.sum(dim=0) for part in parts)
    expected = IoUMetric.total_area_to_metrics(intersection, union, union, label)
    for name, score in found.items():
        assert float(score) == pytest.approx(100 * np.nanmean(expected[name.removeprefix("m")]), rel=1e-5)
        assert float(score) == pytest.approx(by_hand(*parts)[name], rel=1e-12)


@pytest.mark.parametrize("num_images", [12, 60])
def test_miou_intervals_agree_with_plain_resampling(num_images):
    parts = areas(num_images)
    found, expected = intervals.bootstrap_iou(*parts, seed=0), resampled(parts)
    assert found.keys() == expected.keys()
    for name, interval in found.items():
        assert width(interval) == pytest.approx(width(expected[name]), rel=0.15)
        assert interval == pytest.approx(tuple(expected[name]), abs=0.15 * width(interval))
        assert interval[0] < by_hand(*parts)[name] < interval[1]


def test_accuracy_of_pixels_agrees_with_the_error_of_a_ratio():
    """Large samples: 1.96 linearised standard errors of a ratio of means."""
    intersection, union, label = areas(400)
    low, high = intervals.bootstrap_iou(intersection, union, label, seed=0)["aAcc"]
    right, total = intersection.sum(dim=1).double(), label.sum(dim=1).double()
    error = (right - total * right.sum() / total.sum()).std() / total.mean() / math.sqrt(len(total))
    assert high - low == pytest.approx(2 * 1.96 * 100 * float(error), rel=0.15)


def test_a_class_of_one_image_is_left_out_of_the_resamples_without_it():
    """One class is always right; the other, never right, is in one image only: the mean is 50 or 100."""
    label = torch.full((10, 2), 5.0)
    label[1:, 1] = 0
    intersection = label * torch.tensor([1.0, 0.0])
    assert intervals.bootstrap_iou(intersection, label, label, seed=0)["mIoU"] == (50.0, 100.0)


def test_images_without_a_label_do_not_count():
    parts = areas(8)
    for part in parts:
        part[1:] = 0  # a third of the resamples is all blank
    found = intervals.bootstrap_iou(*parts, seed=0)
    assert found["aAcc"] == pytest.approx((by_hand(*parts)["aAcc"],) * 2)
    assert intervals.bootstrap_iou(*(torch.zeros(3, 2) for _ in range(3)), seed=0) == {}


def test_more_images_narrow_the_interval():
    few, many = (intervals.bootstrap_iou(*areas(num), seed=0) for num in (40, 640))
    for name in few:
        assert width(many[name]) == pytest.approx(width(few[name]) / 4, rel=0.35)


def test_the_seed_alone_decides_on_the_draws(monkeypatch):
    first, other = (intervals.bootstrap_iou(*areas(), seed=seed) for seed in (0, 1))
    assert first != other
    monkeypatch.setattr(intervals, "WEIGHTS", 100)  # three resamples at a time
    torch.manual_seed(5)
    assert intervals.bootstrap_iou(*areas(), seed=0) == first


def test_resamples_draw_as_many_images_as_there_are():
    weights = torch.cat(list(intervals.resamples(50, 400, 0)))
    assert weights.shape == (400, 50) and (weights.sum(dim=1) == 50).all()
    assert weights.mean(dim=0).numpy() == pytest.approx(1.0, abs=0.25)
    assert float(weights.var()) == pytest.approx(0.98, rel=0.05)  # 1 - 1 / 50


# AP


def scenes(num_images, seed=0):
    """Objects, now and then a crowd, of two classes, and detections: displaced, doubled, missed, out of the air."""
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for image in range(num_images):
        for _ in range(rng.integers(0, 4)):
            label, box = int(rng.integers(1, 3)), [*rng.integers(0, 40, 2), *rng.integers(10, 40, 2)]
            crowd = int(rng.uniform() < 0.1)
            truth.append({"image_id": image, "category_id": label, "bbox": [float(n) for n in box], "iscrowd": crowd})
            for _ in range(rng.integers(0, 3)):
                moved = [float(n) for n in np.asarray(box) + rng.integers(-3, 4, 4)]
                score = float(rng.uniform(0.2, 1.0))
                found.append({"image_id": image, "category_id": label, "bbox": moved, "score": score})
        box = [float(n) for n in rng.integers(5, 30, 4)]
        found.append({"image_id": image, "category_id": 1 + image % 2, "bbox": box, "score": float(rng.uniform())})
    return truth, found


def evaluate(truth, found, num_images):
    """pycocotools' evaluation; class 3 never occurs."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "info": {},
            "images": [{"id": n} for n in range(num_images)],
            "categories": [{"id": n} for n in (1, 2, 3)],
            "annotations": [
                {**one, "id": n, "area": one["bbox"][2] * one["bbox"][3]} for n, one in enumerate(truth, start=1)
            ],
        }
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes([dict(one) for one in found]), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def repeated(annotations, weights):
    """The annotations of images that are taken so many times; each copy is an image of its own."""
    sources = np.repeat(np.arange(len(weights)), weights.astype(int))
    return [
        {**one, "image_id": n} for n, source in enumerate(sources) for one in annotations if one["image_id"] == source
    ]


def test_every_image_once_is_what_pycocotools_computes():
    evaluation = evaluate(*scenes(40), 40)
    found = intervals.ap_scores(intervals.read_matches(evaluation), np.ones(40))
    assert 10 < found[0] < 90
    assert found == pytest.approx([100 * value for value in evaluation.stats[:3]], abs=1e-9)


def test_repeated_images_are_what_pycocotools_computes_on_copies():
    truth, found = scenes(15)
    detections = intervals.read_matches(evaluate(truth, found, 15))
    (draws,) = intervals.resamples(15, 20, 0)
    for weights in draws.numpy():
        copies = evaluate(repeated(truth, weights), repeated(found, weights), 15)
        expected = [100 * value for value in copies.stats[:3]]
        assert intervals.ap_scores(detections, weights) == pytest.approx(expected, abs=1e-9)


def test_ap_intervals_are_the_percentiles_of_such_draws(monkeypatch):
    monkeypatch.setattr(intervals, "AP_RESAMPLES", 40)
    detections = intervals.read_matches(evaluate(*scenes(30), 30))
    (draws,) = intervals.resamples(30, 40, 7)
    scores = [intervals.ap_scores(detections, weights) for weights in draws.numpy()]
    found = intervals.bootstrap_ap(detections, seed=7)
    assert list(found) == ["AP", "AP50", "AP75"]
    for interval, of_draws in zip(found.values(), np.transpose(scores), strict=True):
        assert interval == pytest.approx(tuple(np.percentile(of_draws, [2.5, 97.5])), abs=1e-9)
    assert found == intervals.bootstrap_ap(detections, seed=7) != intervals.bootstrap_ap(detections, seed=8)


def test_ap_intervals_narrow_with_more_images():
    few, many = (intervals.read_matches(evaluate(*scenes(num), num)) for num in (30, 300))
    for name, (low, high) in intervals.bootstrap_ap(few, seed=0).items():
        assert width(intervals.bootstrap_ap(many, seed=0)[name]) < 0.6 * (high - low)
        assert low < dict(zip(("AP", "AP50", "AP75"), intervals.ap_scores(few, np.ones(30)), strict=True))[name] < high


def test_resamples_without_an_object_are_left_out():
    truth = [{"image_id": 0, "category_id": 1, "bbox": [0.0, 0.0, 9.0, 9.0], "iscrowd": 0}]
    found = [{"image_id": n, "category_id": 1, "bbox": [0.0, 0.0, 9.0, 9.0], "score": 0.5} for n in (0, 1)]
    detections = intervals.read_matches(evaluate(truth, found, 3))
    assert all(math.isnan(score) for score in intervals.ap_scores(detections, np.array([0.0, 2.0, 1.0])))
    assert intervals.bootstrap_ap(detections, seed=0)["AP"] == pytest.approx((100.0, 100.0))


def test_objects_that_nobody_finds_have_an_ap_of_zero():
    truth, _ = scenes(10)
    elsewhere = [{"image_id": 0, "category_id": 3, "bbox": [0.0, 0.0, 1.0, 1.0], "score": 0.5}]
    assert intervals.bootstrap_ap(intervals.read_matches(evaluate(truth, elsewhere, 10)), seed=0)["AP"] == (0.0, 0.0)


def test_a_share_is_not_rounded_to_float32():
    """61 of 500 are 12.2; in float32 they were 12.199999809."""
    assert percent(torch.tensor([61.0, 500.0]), 500) == [12.2, 100.0]
