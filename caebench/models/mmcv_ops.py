"""The compiled operators that mmdetection's heads need, provided by torchvision under the name `mmcv._ext`.

mmcv is installed without its extension, and then `mmcv.ops` cannot be imported. Mask R-CNN and Cascade Mask R-CNN call
three of its operators, and torchvision has all three. Calling any other one is an error.
"""

import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import NoReturn

import torch
import torchvision  # noqa: F401 -- registers torch.ops.torchvision
from jaxtyping import Float, Int
from torch import Tensor

EXTENSION = "mmcv._ext"


def install() -> None:
    """Install `mmcv._ext` in this process, unless it has one or a compiled one can be found.

    Call this in every process before `mmcv.ops` or `mmdet.models` is imported. Looking for the extension imports mmcv.
    """
    if EXTENSION not in sys.modules and find_spec(EXTENSION) is None:
        sys.modules[EXTENSION] = extension = TorchvisionOperators(EXTENSION, __doc__)
        extension.__spec__ = ModuleSpec(EXTENSION, loader=None)  # mmengine asks find_spec, which fails on a bare module


def nms(
    bboxes: Float[Tensor, "boxes 4"], scores: Float[Tensor, " boxes"], iou_threshold: float, offset: int
) -> Int[Tensor, " kept"]:
    """Indices of the kept boxes, best score first; a box is `offset` larger than the difference of its corners."""
    dtype = torch.promote_types(_computed_in(bboxes), scores.dtype)
    corners = bboxes.to(dtype) + bboxes.new_tensor([0, 0, offset, offset], dtype=dtype)
    return torch.ops.torchvision.nms(corners, scores.to(dtype), iou_threshold)


def roi_align_forward(
    input: Float[Tensor, "images channels height width"],
    rois: Float[Tensor, "rois 5"],
    output: Float[Tensor, "rois channels aligned_height aligned_width"],
    argmax_y: Float[Tensor, "..."],
    argmax_x: Float[Tensor, "..."],
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Write each region's averaged samples into `output`; the argmax tensors are for max pooling, which is an error."""
    _require_average(pool_mode)
    dtype, size = _computed_in(input), (aligned_height, aligned_width)
    pooled = torch.ops.torchvision.roi_align(
        input.to(dtype), rois.to(dtype), spatial_scale, *size, sampling_ratio, aligned
    )
    output.copy_(pooled)


def roi_align_backward(
    grad_output: Float[Tensor, "rois channels aligned_height aligned_width"],
    rois: Float[Tensor, "rois 5"],
    argmax_y: Float[Tensor, "..."],
    argmax_x: Float[Tensor, "..."],
    grad_input: Float[Tensor, "images channels height width"],
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Write the gradient of the features into `grad_input`."""
    _require_average(pool_mode)
    dtype, size = _computed_in(grad_output), (aligned_height, aligned_width)
    grad = torch.ops.torchvision._roi_align_backward(
        grad_output.to(dtype), rois.to(dtype), spatial_scale, *size, *grad_input.shape, sampling_ratio, aligned
    )
    grad_input.copy_(grad)


class TorchvisionOperators(ModuleType):
    """Three working operators; any other name is a function that fails when called, since mmcv imports many."""

    nms = staticmethod(nms)
    roi_align_forward = staticmethod(roi_align_forward)
    roi_align_backward = staticmethod(roi_align_backward)

    def __getattr__(self, name: str) -> Callable[..., NoReturn]:
        if name.startswith("__"):  # what Python asks any module for, such as __path__
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return lambda *_args, **_kwargs: _fail(name)


def _computed_in(tensor: Tensor) -> torch.dtype:
    """Half precision is computed in float32: torchvision has no bfloat16 kernel, and no float16 one on a CPU."""
    return torch.promote_types(tensor.dtype, torch.float32)


def _require_average(pool_mode: int) -> None:
    if pool_mode != 1:
        _fail(f"roi_align with pool_mode {pool_mode} (0 is max, 1 is average)")


def _fail(what: str) -> NoReturn:
    raise NotImplementedError(
        f"{EXTENSION}: torchvision has no {what}. Only nms and average roi_align are available; "
        "use a head that needs no more, or compile mmcv with its operators (MMCV_WITH_OPS=1)."
    )
