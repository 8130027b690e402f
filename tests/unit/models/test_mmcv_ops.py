"""torchvision's kernels, called as mmcv calls its own, give what the definitions say."""

import importlib.util
import math
import sys
import warnings
from itertools import product, starmap
from types import ModuleType

import numpy as np
import pytest
import torch

from caebench.models.mmcv_ops import EXTENSION, install

# On the feature map: inside, across the borders (two), outside, smaller than a pixel.
REGIONS = [[0, 1.3, 2.1, 7.9, 6], [1, -3.2, -2.7, 4, 3], [1, 5, 4, 14.6, 13], [0, 20, 20, 24, 23], [1, 3, 3, 3.4, 3.2]]
ALIGN_CASES = list(product([(1, 1), (2, 3), (7, 7)], [1.0, 0.25], [0, 2], [True, False]))


@pytest.fixture(scope="module")
def ops():
    """Import mmcv's operators the way a detection job does; what mmcv warns of at import is not ours."""
    install()
    with warnings.catch_warnings(action="ignore"):
        return importlib.import_module("mmcv.ops")


def boxes_and_scores(seed, count=60):
    """Crowded boxes of 2 to 20 pixels, with scores of which no two are equal."""
    rng = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, generator=rng) * 30
    boxes = torch.cat([corners, corners + 2 + torch.rand(count, 2, generator=rng) * 18], dim=1)
    return boxes, (torch.randperm(count, generator=rng) + 1) / (count + 1)


def naive_nms(boxes, scores, threshold, offset=0):
    """Take the best box, strike out whatever overlaps it by more than the threshold, repeat."""
    boxes, left, kept = boxes.double().numpy(), np.argsort(-scores.double().numpy()), []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(int(best))
        low, high = np.maximum(boxes[left, :2], boxes[best, :2]), np.minimum(boxes[left, 2:], boxes[best, 2:])
        overlap = np.maximum(high - low + offset, 0).prod(1)
        areas = [(boxes[which, 2:] - boxes[which, :2] + offset).prod(-1) for which in (left, best)]
        left = left[overlap / (areas[0] + areas[1] - overlap) <= threshold]
    return kept


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("seed", range(6))
def test_nms_keeps_what_the_definition_keeps(ops, seed, offset):
    boxes, scores = boxes_and_scores(seed)
    for threshold in (0.1, 0.3, 0.5):
        expected = naive_nms(boxes, scores, threshold, offset)
        assert 1 < len(expected) < len(boxes)
        dets, kept = ops.nms(boxes, scores, threshold, offset)
        assert kept.tolist() == expected
        assert torch.equal(dets, torch.cat([boxes, scores[:, None]], dim=1)[expected])


def test_nms_adds_the_offset_to_both_sides(ops):
    boxes = torch.tensor([[0.0, 0, 2, 1], [1, 0, 3, 1]])  # they overlap by 1/3, and by 4/8 when a pixel larger
    for offset, expected in ((0, [0, 1]), (1, [0])):
        assert ops.nms(boxes, torch.tensor([0.9, 0.8]), 0.4, offset)[1].tolist() == expected


@pytest.mark.parametrize("score_threshold", [0.0, 0.6])
def test_nms_filters_scores_before_and_cuts_after(ops, score_threshold):
    boxes, scores = boxes_and_scores(11)
    expected = [index for index in naive_nms(boxes, scores, 0.3) if scores[index] > score_threshold]
    assert len(expected) > 3
    for max_num, count in ((-1, len(expected)), (3, 3)):
        _, kept = ops.nms(boxes, scores, 0.3, score_threshold=score_threshold, max_num=max_num)
        assert kept.tolist() == expected[:count]
    dets, kept = ops.nms(boxes, scores, 0.3, score_threshold=1.0)
    assert dets.shape == (0, 5) and kept.tolist() == []


@pytest.mark.parametrize("split_thr", [10000, 10])
def test_batched_nms_keeps_classes_apart(ops, split_thr):
    boxes, scores = boxes_and_scores(7)
    classes = torch.arange(len(boxes)) % 3
    expected = []
    for members in ((classes == label).nonzero().squeeze(1) for label in range(3)):
        expected += members[naive_nms(boxes[members], scores[members], 0.3)].tolist()
    expected.sort(key=lambda index: -scores[index])
    _, kept = ops.batched_nms(boxes, scores, classes, {"type": "nms", "iou_threshold": 0.3, "split_thr": split_thr})
    assert kept.tolist() == expected


def features_and_rois(scale, dtype=torch.float64):
    """Two feature maps and the regions, these in the pixels of an image larger by 1 / scale."""
    features = torch.randn(2, 3, 9, 11, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rois = torch.tensor(REGIONS, dtype=torch.float64) / torch.tensor([1, scale, scale, scale, scale])
    return features.to(dtype), rois.to(dtype)


def region(roi, scale, aligned):
    """Start and extent of a region on the feature map, (y, x); the older definition makes it at least a pixel."""
    shift, least = (0.5, 0.0) if aligned else (0.0, 1.0)
    x1, y1, x2, y2 = (float(corner) * scale - shift for corner in roi[1:])
    return (y1, x1), (max(y2 - y1, least), max(x2 - x1, least))


def bilinear(image, y, x):
    """Interpolate between four pixels; within a pixel of the border the border is repeated, beyond is nothing."""
    height, width = image.shape[1:]
    if not (-1 <= y <= height and -1 <= x <= width):
        return np.zeros(len(image))
    y, x = min(max(y, 0.0), height - 1), min(max(x, 0.0), width - 1)
    top, left = int(y), int(x)
    rows = (top, 1 - y + top), (min(top + 1, height - 1), y - top)
    columns = (left, 1 - x + left), (min(left + 1, width - 1), x - left)
    return sum(image[:, row, column] * a * b for (row, a), (column, b) in product(rows, columns))


def naive_roi_align(features, rois, size, scale, sampling_ratio, aligned):
    """Average over a grid of samples in every bin, one sample at a time."""
    output = np.zeros((len(rois), features.shape[1], *size))
    for roi, pooled in zip(rois, output, strict=True):
        start, extent = region(roi, scale, aligned)
        step = np.divide(extent, size)
        samples = [sampling_ratio or math.ceil(side) for side in step]
        for i, j, a, b in product(*(range(n) for n in (*size, *samples))):
            point = start + step * ((i, j) + (np.array([a, b]) + 0.5) / samples)
            pooled[:, i, j] += bilinear(features[int(roi[0])].numpy(), *point) / math.prod(samples)
    return torch.from_numpy(output)


def axis_weights(start, extent, bins, sampling_ratio, length):
    """What each bin takes from each pixel along one axis: the mean of hat functions at the sample points."""
    samples = sampling_ratio or math.ceil(extent / bins)
    points = start + extent * (torch.arange(bins * samples, dtype=torch.float64)[:, None] + 0.5) / (bins * samples)
    hats = (1 - (points.clamp(0, length - 1) - torch.arange(length)).abs()).relu()
    return (hats * ((points >= -1) & (points <= length))).view(bins, samples, length).mean(1)


def separable_roi_align(features, rois, size, scale, sampling_ratio, aligned):
    """RoIAlign as two matrix products a region, which autograd can differentiate."""
    pooled = []
    for roi in rois:
        axes = zip(*region(roi, scale, aligned), size, [sampling_ratio] * 2, features.shape[2:], strict=True)
        rows, columns = starmap(axis_weights, axes)
        pooled.append(rows @ features[int(roi[0])] @ columns.T)
    return torch.stack(pooled)


@pytest.mark.parametrize(("size", "scale", "sampling_ratio", "aligned"), ALIGN_CASES)
def test_roi_align_and_its_gradient_follow_the_definition(ops, size, scale, sampling_ratio, aligned):
    features, rois = features_and_rois(scale)
    case = (rois, size, scale, sampling_ratio)
    inputs = [features.clone().requires_grad_() for _ in range(2)]
    ours = ops.roi_align(inputs[0], *case, "avg", aligned)
    torch.testing.assert_close(ours.detach(), naive_roi_align(features, *case, aligned))
    upstream = torch.linspace(-1, 2, ours.numel(), dtype=torch.float64).view_as(ours)
    ours.backward(upstream)
    separable_roi_align(inputs[1], *case, aligned).backward(upstream)
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_float32_rounded_once(ops, dtype):
    features, rois = features_and_rois(0.25, dtype)
    low, high = features.clone().requires_grad_(), features.float().requires_grad_()
    outputs = [ops.roi_align(x, rois.to(x.dtype), (3, 3), 0.25, 2, "avg", True) for x in (low, high)]
    torch.cat(outputs).sum().backward()
    assert outputs[0].dtype == low.grad.dtype == dtype
    assert torch.equal(outputs[0], outputs[1].to(dtype)) and torch.equal(low.grad, high.grad.to(dtype))
    boxes, scores = (tensor.to(dtype) for tensor in boxes_and_scores(3))
    dets, kept = ops.nms(boxes, scores, 0.4, offset=1)
    assert dets.dtype == dtype  # and boxes and scores may differ in type
    assert torch.equal(ops.nms(boxes.float(), scores, 0.4, offset=1)[1], kept)


def test_what_torchvision_lacks_fails_by_name_when_called(ops):
    image = torch.zeros(1, 1, 4, 4)
    with pytest.raises(NotImplementedError, match="no deform_conv_forward"):
        ops.deform_conv2d(image, torch.zeros(1, 18, 2, 2), torch.zeros(1, 1, 3, 3))
    with pytest.raises(NotImplementedError, match="pool_mode 0"):
        ops.roi_align(image, torch.zeros(1, 5), (2, 2), 1.0, 0, "max", True)
    assert not hasattr(sys.modules[EXTENSION], "__path__")


def test_install_replaces_no_extension(monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, EXTENSION, raising=False)
    install()
    first = sys.modules[EXTENSION]
    assert importlib.util.find_spec(EXTENSION) is first.__spec__  # mmengine looks for it so
    for loaded in (first, ModuleType(EXTENSION)):
        monkeypatch.setitem(sys.modules, EXTENSION, loaded)
        install()
        assert sys.modules[EXTENSION] is loaded

    monkeypatch.delitem(sys.modules, EXTENSION)
    (tmp_path / "_ext.py").touch()
    monkeypatch.setattr("mmcv.__path__", [str(tmp_path)])  # there, but not yet imported
    install()
    assert EXTENSION not in sys.modules
