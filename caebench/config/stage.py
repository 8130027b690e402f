"""The kinds of job. A stage is one config type here and one function in `caebench.stages`."""

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from caebench.config.augmentation import Mixing
from caebench.config.base import NOT_IDENTITY, Config
from caebench.config.codes import Codes
from caebench.config.compared import IBOT, MAE, BEiT, Method
from caebench.config.data import Data, EmbeddedData, RealData
from caebench.config.dense import Detection, KNNSegmentation, LearningRateGrid, Segmentation
from caebench.config.families import FamilyName
from caebench.config.method import CAE, DVAE, Released
from caebench.config.optim import Optimization, Precision
from caebench.config.pixels import PixelStatsName
from caebench.config.variants import VARIANTS, Variant, VariantName

ENCODER = "encoder.safetensors"  # what a job that leaves an encoder leaves
METRICS_FILE = "metrics.jsonl"  # a line every few steps and every epoch, while a job trains
RESULT = "result.json"  # written last, in a job's folder: its existence means done
SOURCE = "source.json"  # in the folder of an imported encoder: where the file lies, for as long as it is read


class Pretrain(Config):
    """Pretraining of an encoder: self-supervised, or supervised with DeiT."""

    kind: Literal["pretrain"]
    variant: VariantName
    method: Method
    data: Data
    image_size: PositiveInt
    optimization: Optimization
    crop_scale_min: float = Field(default=0.08, gt=0.0, le=1.0)  # official --crop_min_size
    seed: int = 0

    @model_validator(mode="after")
    def _check_patches(self) -> Self:
        patches = num_patches(self.image_size, VARIANTS[self.variant])
        if not isinstance(self.method, CAE | MAE | BEiT | IBOT):
            return self
        masking = self.method.masking
        if not 0 < (num_masked := masking.num_masked(patches)) < patches:
            raise ValueError(
                f"method.masking.ratio {masking.ratio} masks {num_masked} of {patches} patches: some must be "
                "masked and some visible. Choose another ratio"
            )
        return self


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


class RandomEncoder(Config):
    """An encoder as it is before any training: the floor under every table."""

    kind: Literal["random_encoder"]
    variant: VariantName
    image_size: PositiveInt
    layer_scale: PositiveFloat = 0.1
    seed: int = 0


class Imported(Config):
    """An encoder that somebody released; `caebench ckpt import` makes a finished job of the file (ADR 15).

    Its identity is the file's, not the path's, and that of the pixels that it was trained on (ADR 25). The variant
    changes nothing in it: suites take from it the settings of evaluations, and plans their costs.
    """

    kind: Literal["imported"]
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    family: FamilyName
    num_heads: PositiveInt | None = None  # None: as the family gives this width
    pixel_stats: PixelStatsName = "imagenet"  # what its images are normalised by
    variant: Annotated[VariantName | None, NOT_IDENTITY] = None  # None: of no size that has a name
    patch_size: Annotated[PositiveInt, NOT_IDENTITY] = 16

    @property
    def size(self) -> Variant:
        """Its sizes as far as they are known without the file."""
        named = VARIANTS[self.variant or "vit_b"]
        return named._replace(num_heads=self.num_heads or named.num_heads, patch_size=self.patch_size)


Selection = Literal["best_epoch", "last_epoch"]
# Class token, mean of the patches, or the class tokens of the last four blocks side by side (DINO's linear evaluation
# of ViT-S). Numbers of one encoder in k-NN compare only where feature and norm are the same.
Feature = Literal["cls", "mean", "last4"]


class LinearProbe(Config):
    """Linear probe (CAE, Sec. 4.2; official tools/run_linear.py): batch norm without affine, then a linear layer."""

    kind: Literal["linear_probe"]
    data: Data
    image_size: PositiveInt
    optimization: Optimization
    feature: Feature = "cls"
    norm: bool = True  # features after the encoder's final norm
    selection: Selection = "best_epoch"  # the official code reports its best epoch on the validation set
    crop_scale_min: float = Field(default=0.08, gt=0.0, le=1.0)
    seed: int = 0


class LinearProbeGrid(Config):
    """Linear probes at many learning rates on several features, in one pass of the encoder; not in the paper.

    The head that is reported is chosen on training images that were held out, not on the validation set.
    """

    kind: Literal["linear_probe_grid"]
    data: Data
    image_size: PositiveInt
    optimization: Optimization  # its base_lr is one of `base_lrs`
    base_lrs: tuple[PositiveFloat, ...] = Field(min_length=1)
    features: tuple[Feature, ...] = Field(default=("cls", "mean", "last4"), min_length=1)
    norm: bool = True
    hold_out: float = Field(default=0.1, gt=0.0, lt=1.0)  # share of the training images
    crop_scale_min: float = Field(default=0.08, gt=0.0, le=1.0)
    seed: int = 0


class AttentiveProbe(Config):
    """Attentive probe (CAE, Sec. 4.2; official tools/run_attentive.py): one cross-attention with its own query."""

    kind: Literal["attentive_probe"]
    data: Data
    image_size: PositiveInt
    optimization: Optimization
    tokens: Literal["all", "patches"] = (
        "all"  # the paper's text says patches, its code feeds the class token too: ADR 3
    )
    init_std: PositiveFloat = 0.02  # of the attention's weights; scales with 1 / sqrt(width) from ViT-B's 768
    selection: Selection = "best_epoch"
    crop_scale_min: float = Field(default=0.08, gt=0.0, le=1.0)
    crop: Literal["retry", "one_try"] = (
        "retry"  # where a drawn box does not fit: one_try cuts it, as the linear probe's
    )
    seed: int = 0


class KNN(Config):
    """Weighted k-nearest-neighbour classification on frozen features (DINO, arXiv 2104.14294, Sec. 4.2.1)."""

    kind: Literal["knn"]
    data: Data
    image_size: PositiveInt
    k: tuple[PositiveInt, ...] = (10, 20, 100, 200)
    temperature: PositiveFloat = 0.07
    feature: Feature = "cls"
    norm: bool = True  # features after the encoder's final norm
    precision: Precision = "bf16"

    @property
    def fixed_k(self) -> int:
        """The k that is not chosen by its number: 20, DINO's own; the second one where there is no 20."""
        return 20 if 20 in self.k else self.k[min(1, len(self.k) - 1)]


class Finetune(Config):
    """End-to-end fine-tuning for classification (CAE, Sec. 4.2; official tools/run_class_finetuning.py)."""

    kind: Literal["finetune"]
    data: Data
    image_size: PositiveInt
    optimization: Optimization
    layer_decay: float = Field(gt=0.0, le=1.0)
    drop_path: float = Field(ge=0.0, lt=1.0)
    mixing: Mixing = Mixing()
    label_smoothing: float = Field(default=0.1, ge=0.0, lt=1.0)
    randaugment: str = "rand-m9-mstd0.5-inc1"  # timm's notation
    random_erasing: float = Field(default=0.25, ge=0.0, le=1.0)
    flip: float = Field(default=0.5, ge=0.0, le=1.0)  # probability
    crop_scale_min: float = Field(default=0.08, gt=0.0, le=1.0)
    relative_position_bias: bool = True  # per block, zero at the start; official fine-tuning code
    head_init_scale: PositiveFloat = 0.001
    selection: Selection = "best_epoch"
    seed: int = 0


class PretrainingCost(Config):
    """What a step of one pretraining costs beside a step of another: parameters and time, as ratios."""

    kind: Literal["pretraining_cost"]
    pretraining: Pretrain
    against: Pretrain
    num_images: PositiveInt = 64  # at most, of a step
    num_steps: PositiveInt = 20  # of each, in turns

    @property
    def data(self) -> Data:
        """The images come from the pretraining's data."""
        return self.pretraining.data


Evaluation = (
    LinearProbe
    | LinearProbeGrid
    | AttentiveProbe
    | KNN
    | Finetune
    | Segmentation
    | KNNSegmentation
    | LearningRateGrid
    | Detection
    | PretrainingCost
)
Source = Pretrain | RandomEncoder | Imported
Stage = Annotated[RealData | EmbeddedData | Released | DVAE | Codes | Source | Evaluation, Field(discriminator="kind")]

# The numbers of a result that a column may show.
METRICS: dict[type[Config], tuple[str, ...]] = {
    LinearProbe: ("top1", "top5", "top1_last_epoch"),
    LinearProbeGrid: ("top1", "top1_best_on_val", "top1_held_out"),
    AttentiveProbe: ("top1", "top5", "top1_last_epoch"),
    Finetune: ("top1", "top5", "top1_last_epoch"),
    Segmentation: ("mIoU", "mAcc", "aAcc"),
    KNNSegmentation: ("mIoU", "mAcc", "aAcc"),
    LearningRateGrid: ("mIoU", "mIoU_median", "mAcc", "aAcc"),
    Detection: ("AP_box", "AP_box50", "AP_box75", "AP_mask", "AP_mask50", "AP_mask75"),
    PretrainingCost: ("parameter_ratio", "time_ratio", "num_parameters", "step_seconds"),
    KNN: ("top1", "top1_k10", "top1_k20", "top1_k100", "top1_k200"),
}
# Those that it has only where the site names what they rest on: [extras] in the site file.
EXTRA = "extra/"  # before the name of each, where a result keeps their fingerprints
EXTRA_METRICS: dict[type[Config], tuple[str, ...]] = {KNN: ("top1_v2", "top1_real", "top1_1pct", "top1_10pct")}
