"""mIoU computed a second way, and what UperNet is made of."""

import csv

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope

from caebench.models.vit import Encoder
from caebench.planning.scale import NANO
from caebench.specs.evaluations.segmentation import ade20k
from caebench.specs.variants import Variant
from caebench.tasks.dense import engine, segmentation

CLASSES = ("a", "b", "c", "d", "never")


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    init_default_scope("mmseg")
    encoder = Encoder(Variant(32, 4, 2, 8), 96, relative_position_bias="block")
    return segmentation.build_model(NANO.apply(ade20k()), encoder, len(CLASSES), sync=False)


def samples(seed, num=6):
    rng = np.random.default_rng(seed)
    for _ in range(num):
        truth = rng.integers(0, 4, (20, 30))
        predicted = np.where(rng.uniform(size=truth.shape) < 0.6, truth, rng.integers(0, 4, truth.shape))
        truth[rng.uniform(size=truth.shape) < 0.1] = 255
        yield predicted, truth


def test_miou_agrees_with_a_confusion_matrix(tmp_path):
    metric = segmentation.PerClassIoU(ignore_index=255)
    metric.dataset_meta = {"classes": CLASSES}
    confusion = np.zeros((5, 5))
    for predicted, truth in samples(0):
        both = {"pred_sem_seg": {"data": torch.tensor(predicted)}, "gt_sem_seg": {"data": torch.tensor(truth)}}
        metric.process({}, [both])
        valid = truth != 255
        np.add.at(confusion, (truth[valid], predicted[valid]), 1)
    found = metric.evaluate(6)
    right = np.diag(confusion)
    with np.errstate(invalid="ignore"):
        iou = right / (confusion.sum(0) + confusion.sum(1) - right)
    assert found["mIoU"] == pytest.approx(100 * np.nanmean(iou), abs=1e-9)
    assert found["aAcc"] == pytest.approx(100 * right.sum() / confusion.sum(), abs=1e-9)
    for name, (low, high) in metric.intervals(seed=0).items():
        assert 0 < low < found[name] < high < 100
    assert set(metric.intervals(seed=0)) == set(found)
    metric.write(tmp_path / "per_class.csv")
    rows = list(csv.DictReader((tmp_path / "per_class.csv").read_text(encoding="utf8").splitlines()))
    assert [row["class"] for row in rows] == list(CLASSES) and rows[4]["IoU"] == ""
    assert [float(row["IoU"]) for row in rows[:4]] == pytest.approx(list(100 * iou[:4]), abs=0.006)


def test_every_parameter_trains_once_at_its_rate(model):
    config = ade20k().optimization
    groups = engine.dense_groups(model, config.layer_decay)
    counted = [id(p) for group in groups for p in group["params"]]
    unused = {id(model.backbone.encoder.norm)}
    assert len(counted) == len(set(counted))
    assert set(counted) == {id(p) for p in model.parameters() if p.requires_grad} - unused
    scale = {id(p): group["lr_scale"] for group in groups for p in group["params"]}
    encoder = model.backbone.encoder
    assert scale[id(encoder.patch_embed.weight)] == pytest.approx(0.65**5)
    assert scale[id(encoder.blocks[0].attn.qkv.weight)] == pytest.approx(0.65**4)
    assert scale[id(encoder.relative_position_biases[3].table)] == pytest.approx(0.65)
    assert scale[id(model.decode_head.conv_seg.weight)] == scale[id(model.backbone.scales[1].weight)] == 1.0


def test_the_schedule_warms_up_and_decays_to_zero():
    config = ade20k("vit_b").optimization.replace(iterations=100, warmup_iterations=10)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=config.lr)
    built = [spec.pop("type")(optimizer, **spec) for spec in engine.schedulers(config)]
    rates = []
    for _ in range(config.iterations):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        for scheduler in built:
            scheduler.step()
    assert rates[0] == pytest.approx(config.lr * 1e-6)
    assert max(rates) == pytest.approx(config.lr, rel=0.02)
    assert np.argmax(rates) in range(8, 12)
    assert rates[55] == pytest.approx(config.lr * 0.5, rel=0.02)
    assert rates[-1] < config.lr * 0.02


def test_gradients_reach_encoder_scales_and_heads(model):
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    model.train()
    labels = [SegDataSample(gt_sem_seg=PixelData(data=torch.randint(0, 5, (1, 96, 96)))) for _ in range(2)]
    losses = model(torch.randn(2, 3, 96, 96), labels, mode="loss")
    model.zero_grad()
    sum(value for name, value in losses.items() if "loss" in name).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []
