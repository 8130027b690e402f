"""Shared by masked-image methods: patches, codes, and which of them are masked."""

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from caebench.models.tokenizer import Tokenizer


def patchify(images: Float[Tensor, "batch 3 height width"], size: int) -> Float[Tensor, "batch patches values"]:
    """Cut images into patches, row by row; a patch's values are ordered row, column, channel."""
    batch, channels, height, width = images.shape
    cut = images.reshape(batch, channels, height // size, size, width // size, size)
    return cut.permute(0, 2, 4, 3, 5, 1).reshape(batch, -1, size * size * channels)


def normalize_patches(patches: Float[Tensor, "*batch values"]) -> Float[Tensor, "*batch values"]:
    """Each patch by its own mean and unbiased variance, as MAE's target (arXiv 2111.06377, Sec. 4.1)."""
    return (patches - patches.mean(-1, keepdim=True)) / (patches.var(-1, keepdim=True) + 1e-6).sqrt()


def split_patches(
    masked: Bool[Tensor, "batch patches"], num_masked: int
) -> tuple[Int[Tensor, "batch visible"], Int[Tensor, "batch masked"]]:
    """The indices of the visible and of the masked patches of each image, in order, without waiting for the device.

    Raises:
        RuntimeError: an image has a different number of masked patches; on a GPU it is raised later.
    """
    exact = (masked.sum(dim=1) == num_masked).all()
    check: Any = torch._assert_async  # pyright: ignore[reportPrivateImportUsage] the only check without a wait
    check(exact, f"every image must have {num_masked} masked patches")
    order = masked.byte().argsort(dim=1, stable=True)
    visible, hidden = order.split([masked.shape[1] - num_masked, num_masked], dim=1)
    return visible, hidden


@torch.no_grad()
def read_codes(batch: dict[str, Tensor], tokenizer: list[Tokenizer]) -> Int[Tensor, "batch patches"]:
    """The batch's codes if it has some, or else the tokenizer's."""
    return batch["codes"] if "codes" in batch else tokenizer[0].codes(batch["view"])
