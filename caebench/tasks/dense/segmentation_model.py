"""UperNet and the linear head in mmsegmentation's words (official downstream_tasks/semantic_segmentation)."""

import warnings
from typing import Any

from mmengine.config import ConfigDict
from mmengine.registry import MODELS
from torch import nn

from caebench.config.dense import Segmentation
from caebench.models.vit import Encoder
from caebench.tasks.dense.engine import byte_stats, initialise_heads

IGNORED = 255  # the label that counts neither in training nor in the metric

Described = dict[str, Any]


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
