"""ViT-B in the paper's dense models: UperNet on 512 x 512 and Mask R-CNN on 800 x 1333, one step and one inference."""

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData, PixelData

from caebench.checkpoints.encoder_file import read_encoder, save_encoder
from caebench.models.vit import Encoder
from caebench.specs.evaluations.detection import coco
from caebench.specs.evaluations.segmentation import ade20k
from caebench.specs.variants import VARIANTS
from caebench.tasks.dense import detection_model, engine, segmentation

pytestmark = pytest.mark.slow
DIM, DEPTH, HEADS, PATCH = VARIANTS["vit_b"]
SCENE_CLASSES, OBJECT_CLASSES = 150, 80


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """ViT-B as pretraining leaves it, for 224 x 224."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("encoder") / "encoder.safetensors"
    save_encoder(Encoder(VARIANTS["vit_b"], 224), path)
    return path


def count(module):
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def convolution(inputs, outputs, size, *, bias):
    """Weights of a convolution; without bias it has a batch norm behind it."""
    return inputs * outputs * size**2 + (outputs if bias else 2 * outputs)


def backbone_count():
    """Patches, class token, blocks with layer scale; three transposed convolutions and a batch norm."""
    encoder = 3 * PATCH**2 * DIM + DIM + DIM + DEPTH * (12 * DIM**2 + 13 * DIM + 2 * DIM)
    return encoder + 3 * (4 * DIM**2 + DIM) + 2 * DIM


def train_one_step(model, config, losses):
    """One step of the recipe's optimizer; every gradient is finite."""
    wrapper = engine.LayerDecayConstructor({"config": config, "accumulations": 1})(model)
    total = sum(part for name, value in losses.items() if "loss" in name for part in listed(value))
    assert total.isfinite()
    total.backward()
    before = {name: p.detach().clone() for name, p in model.named_parameters() if "scales" in name or "patch" in name}
    lost = [
        name for name, p in model.named_parameters() if p.requires_grad and (p.grad is None or p.grad.isnan().any())
    ]
    assert lost == []
    wrapper.step()
    assert all((model.get_parameter(name) != old).any() for name, old in before.items())


def listed(value):
    return value if isinstance(value, list) else [value]


def test_upernet_on_512(checkpoint):
    """Its 163.1 M parameters, of which the encoder has 86 M, are counted here part by part from the architecture."""
    from mmseg.structures import SegDataSample

    init_default_scope("mmseg")
    config = ade20k()
    encoder = read_encoder(checkpoint, config.crop_size, drop_path=config.drop_path, relative_position_bias=True)
    model = segmentation.build_model(config, encoder, SCENE_CLASSES, sync=False)
    pooled = 4 * convolution(DIM, DIM, 1, bias=False) + convolution(5 * DIM, DIM, 3, bias=False)
    pyramid = 3 * convolution(DIM, DIM, 1, bias=False) + 3 * convolution(DIM, DIM, 3, bias=False)
    fused = convolution(4 * DIM, DIM, 3, bias=False) + convolution(DIM, SCENE_CLASSES, 1, bias=True)
    auxiliary = convolution(DIM, 256, 3, bias=False) + convolution(256, SCENE_CLASSES, 1, bias=True)
    bias = DEPTH * HEADS * ((2 * 32 - 1) ** 2 + 3)
    assert count(model.decode_head) == pooled + pyramid + fused
    assert count(model.auxiliary_head) == auxiliary
    assert count(model.backbone) == backbone_count() + bias
    print(f"UperNet ViT-B: {count(model) / 1e6:.1f} M parameters")

    pictures = torch.randn(2, 3, 512, 512, generator=torch.Generator().manual_seed(0))
    maps = model.backbone.eval()(pictures[:1])
    assert [tuple(one.shape) for one in maps] == [(1, DIM, side, side) for side in (128, 64, 32, 16)]
    labels = torch.randint(0, SCENE_CLASSES, (2, 1, 512, 512), generator=torch.Generator().manual_seed(1))
    samples = [SegDataSample(gt_sem_seg=PixelData(data=one)) for one in labels]
    train_one_step(model, config.optimization, model.train()(pictures, samples, mode="loss"))
    meta = {"ori_shape": (600, 803), "img_shape": (512, 685), "pad_shape": (512, 685)}
    wide = torch.randn(1, 3, 512, 685, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        (found,) = model.eval()(wide, [SegDataSample(metainfo=meta)], mode="predict")  # two windows
    assert found.pred_sem_seg.data.shape == (1, 600, 803)
    assert found.seg_logits.data.shape == (SCENE_CLASSES, 600, 803) and found.seg_logits.data.isfinite().all()


def test_mask_rcnn_on_800_by_1333(checkpoint):
    """114.7 M parameters, counted likewise."""
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks

    init_default_scope("mmdet")
    config = coco()
    model = detection_model.build_model(
        config, read_encoder(checkpoint, drop_path=config.drop_path), OBJECT_CLASSES, sync=False
    )
    fpn = 4 * convolution(DIM, 256, 1, bias=True) + 4 * convolution(256, 256, 3, bias=True)
    rpn = convolution(256, 256, 3, bias=True) + convolution(256, 3, 1, bias=True) + convolution(256, 12, 1, bias=True)
    box = 4 * convolution(256, 256, 3, bias=False) + 256 * 49 * 1024 + 1024
    box += 1024 * (OBJECT_CLASSES + 1) + OBJECT_CLASSES + 1 + 4 * OBJECT_CLASSES * 1025
    mask = 4 * convolution(256, 256, 3, bias=True) + convolution(256, 256, 2, bias=True)
    mask += convolution(256, OBJECT_CLASSES, 1, bias=True)
    assert count(model.neck) == fpn and count(model.rpn_head) == rpn
    assert count(model.roi_head.bbox_head) == box and count(model.roi_head.mask_head) == mask
    assert count(model.backbone) == backbone_count()
    print(f"Mask R-CNN ViT-B: {count(model) / 1e6:.1f} M parameters")

    height, width = 800, 1344  # 1333, padded to a multiple of 32
    picture = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    masks = np.zeros((2, height, width), np.uint8)
    masks[0, 100:300, 200:500], masks[1, 400:700, 600:1200] = 1, 1
    boxes = torch.tensor([[200.0, 100.0, 500.0, 300.0], [600.0, 400.0, 1200.0, 700.0]])
    truth = InstanceData(bboxes=boxes, labels=torch.tensor([3, 70]), masks=BitmapMasks(masks, height, width))
    meta = {
        "img_shape": (800, 1333),
        "pad_shape": (height, width),
        "batch_input_shape": (height, width),
        "ori_shape": (480, 800),
        "scale_factor": (1333 / 800, 800 / 480),
    }
    sample = DetDataSample(metainfo=meta, gt_instances=truth, ignored_instances=InstanceData(bboxes=boxes[:0]))
    losses = model.train()(picture, [sample], mode="loss")
    assert {"loss_rpn_cls", "loss_rpn_bbox", "loss_cls", "loss_bbox", "loss_mask"} <= losses.keys()
    train_one_step(model, config.optimization, losses)
    with torch.no_grad():
        maps = model.extract_feat(picture)
        (found,) = model.eval()(picture, [sample], mode="predict")
    sides = [(-(-height // stride), -(-width // stride)) for stride in (4, 8, 16, 32)]
    assert [tuple(one.shape[1:]) for one in maps[:4]] == [(256, *side) for side in sides]
    assert found.pred_instances.masks.shape == (len(found.pred_instances), 480, 800)
    assert found.pred_instances.bboxes.shape == (len(found.pred_instances), 4)
