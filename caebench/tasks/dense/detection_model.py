"""Mask R-CNN and Cascade Mask R-CNN in mmdetection's words.

Official configs/mask_rcnn/vit_*_giou_4conv1f_* and configs/_base_/models/cascade_mask_rcnn_vit_fpn.py; anchors,
samplers and NMS are the published Mask R-CNN's (arXiv 1703.06870) as mmdetection has them.
"""

from typing import Any

from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from mmengine.config import ConfigDict
from mmengine.registry import MODELS
from torch import Tensor, nn

from caebench.models.vit import Encoder
from caebench.specs.evaluations.detection import Detector
from caebench.tasks.dense.engine import byte_stats, initialise_heads

DIVISOR = 32  # of a padded image's sides
ANCHOR_SCALE = 8
FINEST = 56 / 16  # patches: where RoIs leave the finest map
# Of the cascade: IoU from which a box is an object, weight of the losses, deviations of the box coder.
STAGES = (
    (0.5, 1.0, (0.1, 0.1, 0.2, 0.2)),
    (0.6, 0.5, (0.05, 0.05, 0.1, 0.1)),
    (0.7, 0.25, (0.033, 0.033, 0.067, 0.067)),
)
NMS_PROPOSALS, NMS_BOXES = 0.7, 0.5  # IoU

Described = dict[str, Any]


@MODELS.register_module(name="CaebenchRoIExtractor")
class RoIExtractor(SingleRoIExtractor):
    """mmdetection's, on float32 features: it would round boxes to the features' type, in bf16 by whole pixels."""

    def forward(self, feats: Any, rois: Tensor, roi_scale_factor: float | None = None) -> Tensor:
        """Features of each region, [regions, channels, size, size]."""
        in_float32: Any = tuple(one.float() for one in feats)
        return super().forward(in_float32, rois, roi_scale_factor)


def build_model(config: Detector, encoder: Encoder, num_classes: int, *, sync: bool) -> nn.Module:
    """The detector on the encoder; SyncBN, or plain batch norm (one process, or a CPU)."""
    model = MODELS.build(_describe(config, encoder, num_classes, sync))
    initialise_heads(model)
    return model


def _describe(config: Detector, encoder: Encoder, num_classes: int, sync: bool) -> Described:
    patch_size, dim = encoder.variant.patch_size, encoder.variant.dim
    strides = [patch_size // 4, patch_size // 2, patch_size, 2 * patch_size, 4 * patch_size]
    cascade = config.head == "cascade_mask_rcnn"
    mean, std = byte_stats(encoder)
    return {
        "type": "CascadeRCNN" if cascade else "MaskRCNN",
        "data_preprocessor": {
            "type": "DetDataPreprocessor",
            "mean": mean,
            "std": std,
            "bgr_to_rgb": True,
            "pad_mask": True,
            "pad_size_divisor": DIVISOR,
        },
        "backbone": {
            "type": "CaebenchPyramid",
            "encoder": encoder,
            "norm": nn.SyncBatchNorm if sync else nn.BatchNorm2d,
        },
        "neck": {"type": "FPN", "in_channels": [dim] * 4, "out_channels": config.channels, "num_outs": 5},
        "rpn_head": _rpn(config, strides, cascade),
        "roi_head": _roi_head(config, strides[:4], num_classes, sync, cascade),
        "train_cfg": ConfigDict(_train(config, cascade)),
        "test_cfg": ConfigDict(_test(config)),
    }


def _rpn(config: Detector, strides: list[int], cascade: bool) -> Described:
    return {
        "type": "RPNHead",
        "in_channels": config.channels,
        "feat_channels": config.channels,
        "anchor_generator": {
            "type": "AnchorGenerator",
            "scales": [ANCHOR_SCALE],
            "ratios": [0.5, 1.0, 2.0],
            "strides": strides,
        },
        "bbox_coder": _coder((1.0, 1.0, 1.0, 1.0)),
        "loss_cls": {"type": "CrossEntropyLoss", "use_sigmoid": True},
        "loss_bbox": {"type": "SmoothL1Loss", "beta": 1 / 9} if cascade else {"type": "L1Loss"},
    }


def _roi_head(config: Detector, strides: list[int], num_classes: int, sync: bool, cascade: bool) -> Described:
    shared = {
        "bbox_roi_extractor": _extractor(config, strides, 7),
        "mask_roi_extractor": _extractor(config, strides, 14),
        "mask_head": {
            "type": "FCNMaskHead",
            "num_convs": 4,
            "in_channels": config.channels,
            "conv_out_channels": config.channels,
            "num_classes": num_classes,
            "loss_mask": {"type": "CrossEntropyLoss", "use_mask": True},
        },
    }
    if not cascade:
        return {"type": "StandardRoIHead", "bbox_head": _giou_head(config, num_classes, sync), **shared}
    heads = [_cascade_head(config, num_classes, deviations) for _, _, deviations in STAGES]
    weights = [weight for _, weight, _ in STAGES]
    return {
        "type": "CascadeRoIHead",
        "num_stages": len(STAGES),
        "stage_loss_weights": weights,
        "bbox_head": heads,
        **shared,
    }


def _giou_head(config: Detector, num_classes: int, sync: bool) -> Described:
    """Four convolutions, one fully connected layer; boxes are decoded before their GIoU loss."""
    return {
        "type": "Shared4Conv1FCBBoxHead",
        "conv_out_channels": config.channels,
        "norm_cfg": {"type": "SyncBN" if sync else "BN", "requires_grad": True},
        "reg_class_agnostic": False,
        "reg_decoded_bbox": True,
        "loss_bbox": {"type": "GIoULoss", "loss_weight": 10.0},
        **_box_head(config, num_classes, (0.1, 0.1, 0.2, 0.2)),
    }


def _cascade_head(config: Detector, num_classes: int, deviations: tuple[float, ...]) -> Described:
    return {
        "type": "Shared2FCBBoxHead",
        "reg_class_agnostic": True,
        "loss_bbox": {"type": "SmoothL1Loss", "beta": 1.0},
        **_box_head(config, num_classes, deviations),
    }


def _box_head(config: Detector, num_classes: int, deviations: tuple[float, ...]) -> Described:
    return {
        "in_channels": config.channels,
        "fc_out_channels": config.fc_channels,
        "roi_feat_size": 7,
        "num_classes": num_classes,
        "bbox_coder": _coder(deviations),
        "loss_cls": {"type": "CrossEntropyLoss", "use_sigmoid": False},
    }


def _coder(deviations: tuple[float, ...]) -> Described:
    return {"type": "DeltaXYWHBBoxCoder", "target_means": [0.0] * 4, "target_stds": list(deviations)}


def _extractor(config: Detector, strides: list[int], size: int) -> Described:
    return {
        "type": "CaebenchRoIExtractor",
        "roi_layer": {"type": "RoIAlign", "output_size": size, "sampling_ratio": 0},
        "out_channels": config.channels,
        "featmap_strides": strides,
        "finest_scale": round(FINEST * strides[2]),
    }


def _train(config: Detector, cascade: bool) -> Described:
    rpn = _assign((0.7, 0.3, 0.3), num=256, positive=0.5, ground_truth=False, low_quality=True)
    of_stages = [
        _assign((iou, iou, iou), num=config.num_rois, positive=0.25, ground_truth=True, low_quality=not cascade)
        for iou, _, _ in (STAGES if cascade else STAGES[:1])
    ]
    for stage in of_stages:
        stage["mask_size"] = 28
    return {
        "rpn": {**rpn, "allowed_border": 0 if cascade else -1},
        "rpn_proposal": _proposals(config, 2 * config.num_proposals),
        "rcnn": of_stages if cascade else of_stages[0],
    }


def _assign(
    ious: tuple[float, float, float], *, num: int, positive: float, ground_truth: bool, low_quality: bool
) -> Described:
    """Which boxes count as objects (IoU from), as background (IoU below), at least; and how many are sampled."""
    return {
        "assigner": {
            "type": "MaxIoUAssigner",
            "pos_iou_thr": ious[0],
            "neg_iou_thr": ious[1],
            "min_pos_iou": ious[2],
            "match_low_quality": low_quality,
            "ignore_iof_thr": -1,
        },
        "sampler": {
            "type": "RandomSampler",
            "num": num,
            "pos_fraction": positive,
            "neg_pos_ub": -1,
            "add_gt_as_proposals": ground_truth,
        },
        "pos_weight": -1,
        "debug": False,
    }


def _test(config: Detector) -> Described:
    return {
        "rpn": _proposals(config, config.num_proposals),
        "rcnn": {
            "score_thr": 0.05,
            "nms": {"type": "nms", "iou_threshold": NMS_BOXES},
            "max_per_img": config.num_detections,
            "mask_thr_binary": 0.5,
        },
    }


def _proposals(config: Detector, num: int) -> Described:
    """As many before suppression, of each level, as after it, of an image."""
    nms = {"type": "nms", "iou_threshold": NMS_PROPOSALS}
    return {"nms_pre": num, "max_per_img": num, "nms": nms, "min_bbox_size": 0}
