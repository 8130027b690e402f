"""The methods that the paper compares CAE with, and the union of all. Defaults: each method's official code (ADR 16).

Official code: facebookresearch/{mae,deit,moco-v3,dino}, microsoft/unilm (beit), bytedance/ibot.
"""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from caebench.config.augmentation import Mixing
from caebench.config.base import Config
from caebench.config.method import CAE, DALLETarget, DVAETarget, Masking


class MAE(Config):
    """Masked autoencoder (arXiv 2111.06377): a random quarter is encoded, pixels of the rest are decoded."""

    kind: Literal["mae"]
    masking: Masking = Masking(kind="random", ratio=0.75, rounding="visible_down")  # Sec. 4.1, Fig. 5
    normalize_patches: bool = True  # --norm_pix_loss
    decoder_dim: PositiveInt = 512  # Table 1 (a, b); the same for every encoder
    decoder_depth: PositiveInt = 8
    decoder_num_heads: PositiveInt = 16


class BEiT(Config):
    """BEiT (arXiv 2106.08254): DALL-E's codes at masked patches, for which a mask token stands in the encoder."""

    kind: Literal["beit"]
    target: Annotated[DALLETarget | DVAETarget, Field(discriminator="kind")]
    masking: Masking = Masking(ratio=75 / 196)  # --num_mask_patches 75
    color_jitter: NonNegativeFloat = 0.4  # brightness, contrast, saturation; --color_jitter
    layer_scale: PositiveFloat = 0.1  # 1e-5 for ViT-L
    drop_path: float = Field(default=0.1, ge=0.0, lt=1.0)
    init_std: PositiveFloat = 0.02  # of linear layers; scales with 1 / sqrt(width) from ViT-B's 768


class DeiT(Config):
    """Supervised training with DeiT's recipe (arXiv 2012.12877, Table 9), no distillation."""

    kind: Literal["deit"]
    mixing: Mixing = Mixing()
    label_smoothing: float = Field(default=0.1, ge=0.0, lt=1.0)
    randaugment: str = "rand-m9-mstd0.5-inc1"  # timm's notation
    random_erasing: float = Field(default=0.25, ge=0.0, le=1.0)
    flip: float = Field(default=0.5, ge=0.0, le=1.0)  # probability
    repeats: PositiveInt = 3  # repeated augmentation
    drop_path: float = Field(default=0.1, ge=0.0, lt=1.0)
    init_std: PositiveFloat = 0.02  # of linear layers; scales with 1 / sqrt(width) from ViT-B's 768


class MoCoV3(Config):
    """MoCo v3 (arXiv 2104.02057): a prediction of one view's momentum features among those of the whole batch."""

    kind: Literal["moco_v3"]
    temperature: PositiveFloat = 0.2  # --moco-t for ViT
    momentum: float = Field(default=0.99, ge=0.0, le=1.0)  # rises to 1 along a cosine
    hidden_dim: PositiveInt = 4096  # of projector and predictor; --moco-mlp-dim
    output_dim: PositiveInt = 256  # --moco-dim
    freeze_patches: bool = True  # a fixed random patch projection (Sec. 4.2); --stop-grad-conv1
    blur_max: PositiveFloat = 2.0  # pixels


class SelfDistillation(Config):
    """What DINO and iBOT share. Epochs here are of the published schedules; a scale shrinks them with the others."""

    prototypes: PositiveInt  # outputs of the head
    hidden_dim: PositiveInt = 2048
    bottleneck_dim: PositiveInt = 256
    norm_last_layer: bool = True  # the prototypes have unit length; False for ViT-S
    student_temperature: PositiveFloat = 0.1
    teacher_temperature: PositiveFloat = 0.07
    teacher_temperature_start: PositiveFloat = 0.04
    teacher_temperature_epochs: NonNegativeFloat = 50.0  # of a linear rise
    center_momentum: float = Field(default=0.9, ge=0.0, le=1.0)
    momentum: float = Field(default=0.996, ge=0.0, le=1.0)  # of the teacher; rises to 1 along a cosine
    frozen_epochs: NonNegativeFloat = 3.0  # in which the prototypes stay as they are; --freeze_last_layer
    drop_path: float = Field(default=0.1, ge=0.0, lt=1.0)  # of the student
    init_std: PositiveFloat = 0.02  # of linear layers; scales with 1 / sqrt(width) from ViT-B's 768
    num_local: PositiveInt = 10  # small crops beside the two global ones
    local_size: PositiveInt = 96
    local_scale_min: float = Field(default=0.05, gt=0.0, le=1.0)
    local_scale_max: float = Field(default=0.25, gt=0.0, le=1.0)
    blur_max: PositiveFloat = 2.0  # pixels


class DINO(SelfDistillation):
    """DINO (arXiv 2104.14294): the class token of small crops must assign as the teacher's of large ones."""

    kind: Literal["dino"]
    prototypes: PositiveInt = 65536


class IBOT(SelfDistillation):
    """iBOT (arXiv 2111.07832): DINO, and at masked patches of the student's view the teacher's patch assignments."""

    kind: Literal["ibot"]
    prototypes: PositiveInt = 8192  # one head for class token and patches; --shared_head
    local_scale_max: float = Field(default=0.32, gt=0.0, le=1.0)
    masking: Masking = Masking(ratio=0.3)  # its middle; --pred_ratio 0 0.3
    mask_ratio_spread: float = Field(default=0.2, ge=0.0, lt=1.0)  # either side; --pred_ratio_var 0 0.2
    mask_probability: float = Field(default=0.5, ge=0.0, le=1.0)  # of a view to be masked at all
    patch_center_momentum: float = Field(default=0.9, ge=0.0, le=1.0)
    patch_teacher_temperature: PositiveFloat = 0.07
    patch_teacher_temperature_start: PositiveFloat = 0.04
    class_weight: NonNegativeFloat = 1.0  # --lambda1
    patch_weight: NonNegativeFloat = 1.0  # --lambda2


Method = Annotated[CAE | MAE | BEiT | DeiT | MoCoV3 | DINO | IBOT, Field(discriminator="kind")]
