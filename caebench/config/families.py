"""Families of released encoders: their names, the heads that each family gives a width, what is found in a file.

The layouts themselves are in `caebench.models.released`. The number of heads cannot be read from a state dict.
"""

from collections.abc import Mapping
from typing import Literal, TypedDict

FamilyName = Literal[
    "cae",
    "beit",
    "mae",
    "ibot",
    "dino",
    "moco_v3",
    "deit",
    "simmim",
    "data2vec",
    "maskfeat",
    "splitmask",
    "peco",
    "timm",
    "hf",
    "mmpretrain",
    "caebench",
]

Layout = Literal["timm", "mmpretrain", "official-cae", "hf"]  # in which our encoders are written for others

_BASE_LARGE = {768: 12, 1024: 16}
_BASE_LARGE_HUGE = {**_BASE_LARGE, 1280: 16}
_DEIT = {192: 3, 384: 6, 512: 8, **_BASE_LARGE_HUGE}  # 512: DeiT III's "medium"

# Width -> heads, as each project's own code names its models. ViT-S has 6 heads or 12.
HEADS: Mapping[FamilyName, Mapping[int, int]] = {
    "cae": {384: 12, **_BASE_LARGE_HUGE},  # models/modeling_cae.py
    "beit": {384: 6, **_BASE_LARGE},
    "mae": _BASE_LARGE_HUGE,  # models_mae.py
    "ibot": {192: 3, 384: 6, **_BASE_LARGE},  # models/vision_transformer.py
    "dino": {192: 3, 384: 6, 768: 12},  # vision_transformer.py
    "moco_v3": {384: 12, **_BASE_LARGE_HUGE},  # vits.py
    "deit": _DEIT,  # models.py, models_v2.py
    "simmim": {768: 12},  # configs/vit_base__800ep
    "data2vec": _BASE_LARGE_HUGE,  # beit/modeling_cyclical.py
    "maskfeat": _BASE_LARGE,  # configs/masked_ssl/in1k_VIT_{B,L}_MaskFeat_PT.yaml
    "splitmask": {384: 6, 768: 12},
    "peco": _BASE_LARGE_HUGE,
    "timm": {192: 3, 384: 6, **_BASE_LARGE_HUGE},  # timm/models/vision_transformer.py
    "hf": {192: 3, 384: 6, **_BASE_LARGE_HUGE},
    "mmpretrain": _DEIT,  # mmpretrain/models/backbones/vision_transformer.py, arch_zoo
    "caebench": {},  # its files say it
}

# The pixels that all released encoders of a family were trained on, where its own code fixes them. BEiT's does not: 22k
# was trained at 0.5 and 0.5, ImageNet-1k with --imagenet_default_mean_and_std (microsoft/unilm beit/README.md). No
# stored copy of PeCo's or SplitMask's code says it. timm, Hugging Face and MMPretrain hold encoders of any statistics.
PIXELS: Mapping[FamilyName, str] = {
    "cae": "imagenet",  # Atten4Vis/CAE scripts/cae_{base_800e,large_1600e}.sh: --imagenet_default_mean_and_std
    "mae": "imagenet",  # facebookresearch/mae main_pretrain.py
    "ibot": "imagenet",  # bytedance/ibot main_ibot.py
    "dino": "imagenet",  # facebookresearch/dino main_dino.py
    "moco_v3": "imagenet",  # facebookresearch/moco-v3 main_moco.py
    "deit": "imagenet",  # facebookresearch/deit datasets.py, augment.py
    "simmim": "imagenet",  # microsoft/SimMIM data/data_simmim.py
    "data2vec": "imagenet",  # facebookresearch/data2vec_vision beit/README.md: --imagenet_default_mean_and_std
    "maskfeat": "imagenet",  # facebookresearch/SlowFast configs/masked_ssl/in1k_VIT_{B,L}_MaskFeat_PT.yaml
    "caebench": "imagenet",  # its files say it; those that do not are from when there was nothing else
}


class Inspection(TypedDict):
    """A checkpoint in plain values."""

    path: str
    sha256: str
    bytes: int
    format: str
    family: FamilyName
    title: str
    parity: str  # how far agreement with the family's own code was tested
    entry: str  # of the file: where the tensors stand
    width: int
    blocks: int
    num_heads: int | None  # None: neither family and width nor the user say it
    patch_size: int
    image_size: int
    grid: list[int]
    positions: str
    relative_position_bias: str
    layer_scale: bool
    norm_eps: float
    pixel_stats: str | None  # None: neither the file nor what is known of it nor the user says them
    pixel_source: str  # where they were learnt from
    num_parameters: int
    precision: list[str]
    not_finite: dict[str, int]  # name -> how many NaN and Inf
    encoder: dict[str, str]  # their names -> ours
    left: dict[str, str]  # their names -> why
    problems: list[str]  # why the encoder cannot be loaded
