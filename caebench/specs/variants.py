"""Encoder sizes. Paper, lab and nano widths stand in one table, so that every size runs the same code."""

from typing import Literal, NamedTuple

VariantName = Literal[
    "vit_s", "vit_b", "vit_l", "vit_h", "lab_s", "lab_b", "lab_l", "lab_h", "nano_s", "nano_b", "nano_l", "nano_h"
]


class Variant(NamedTuple):
    """Width, depth, heads and patch size (pixels) of an encoder; the MLP is four times as wide."""

    dim: int
    depth: int
    num_heads: int
    patch_size: int


# vit_*: DeiT and CAE sizes; CAE's ViT-S has 12 heads (official models/modeling_cae.py), where DeiT's has 6.
VARIANTS: dict[VariantName, Variant] = {
    "vit_s": Variant(384, 12, 12, 16),
    "vit_b": Variant(768, 12, 12, 16),
    "vit_l": Variant(1024, 24, 16, 16),
    "vit_h": Variant(1280, 32, 16, 16),
    "lab_s": Variant(192, 8, 6, 8),
    "lab_b": Variant(256, 8, 8, 8),
    "lab_l": Variant(384, 10, 12, 8),
    "lab_h": Variant(512, 12, 16, 8),
    "nano_s": Variant(48, 3, 3, 8),
    "nano_b": Variant(64, 4, 4, 8),
    "nano_l": Variant(96, 5, 4, 8),
    "nano_h": Variant(128, 6, 4, 8),
}


def num_patches(image_size: int, variant: Variant, field: str = "image_size") -> int:
    """Patches in an image.

    Raises:
        ValueError: the patch size does not divide the image size.
    """
    if image_size % variant.patch_size:
        raise ValueError(
            f"{field} {image_size} is not a multiple of the patch size {variant.patch_size}. Change {field}"
        )
    return (image_size // variant.patch_size) ** 2


LARGE = ("vit_l", "vit_h")


def layer_scale(variant: VariantName) -> float:
    """What layer scale starts from; official --layer_scale_init_value."""
    return 1e-5 if variant in LARGE else 0.1
