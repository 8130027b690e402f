"""Segmentation: UperNet, or a linear layer on frozen tokens."""

from collections.abc import Mapping
from typing import ClassVar, Literal, NamedTuple, Self

from pydantic import PositiveInt

from caebench.specs.arithmetic import encode
from caebench.specs.dense_optim import DenseOptimization
from caebench.specs.evaluations.dense import DenseTask
from caebench.specs.inputs.named import DataName, named
from caebench.specs.job import SMALL, Inputs, Protocol, Speed, describe_optimization, encoder_size
from caebench.specs.optim import AdamW
from caebench.specs.scale import DenseShrink, Scale, divided
from caebench.specs.variants import VARIANTS, VariantName, num_patches

METRICS = ("mIoU", "mAcc", "aAcc")
RULES: Mapping[str, DenseShrink] = {
    "nano": DenseShrink(
        iterations=0.0025, batch=4, lr=10.0, side=64 / 512, divide={"channels": 32, "aux_channels": 32}, depth=3.0
    ),
    "lab": DenseShrink(iterations=0.05, batch=1, lr=2.0, side=192 / 512, divide={"channels": 3, "aux_channels": 3}),
}


class Segmentation(DenseTask):
    """UperNet on an encoder that trains along (official downstream_tasks/semantic_segmentation), or a linear layer on
    the final patch tokens of a frozen one, which has no use for `channels`, `layer_decay` and `drop_path`.
    """

    VERSION: ClassVar[int] = 2
    METRICS: ClassVar[tuple[str, ...]] = METRICS
    LABELS: ClassVar[tuple[str, ...]] = ("map",)

    kind: Literal["segmentation"]
    crop_size: PositiveInt
    """Pixels of a training crop, of a window at test, and of an image's short side."""
    stride: PositiveInt
    """Pixels between windows at test."""
    channels: PositiveInt
    """Width of UperNet; the official code's has the encoder's width."""
    aux_channels: PositiveInt = 256
    """Width of its auxiliary head."""
    relative_position_bias: bool = True
    """A relative position bias per block of the encoder, zero at the start."""
    head: Literal["upernet", "linear"] = "upernet"
    """`upernet` trains the encoder along; `linear` is one layer on frozen patch tokens."""

    def slug(self, inputs: Inputs, mark: str) -> str:
        """Data set, the head, or UperNet's rate, and the encoder."""
        detail = f"lr{self.optimization.lr:g}" if self.head == "upernet" else self.head
        return f"{self.data.name}-{detail}{mark}-{inputs['encoder'].slug}"

    def check(self, inputs: Inputs) -> None:
        """See `Spec`; and crops that patches do not fill."""
        super().check(inputs)
        num_patches(self.crop_size, encoder_size(inputs), "crop_size")

    def scaled(self, scale: Scale) -> Self:
        """Fewer iterations on smaller crops, and a narrower head."""
        rule = scale.rule(self.kind, RULES)
        return self.replace(
            data=self.data.scaled(scale),
            optimization=rule.apply(self.optimization, scale.precision),
            crop_size=round(self.crop_size * rule.side),
            stride=round(self.stride * rule.side),
            **divided(self, rule.divide),
        )

    def disk_bytes(self, inputs: Inputs) -> int:
        """Checkpoints: of a linear layer alone where the encoder is frozen."""
        return SMALL if self.head == "linear" else super().disk_bytes(inputs)

    def speed(self) -> Speed:
        """See `Spec`."""
        return "frozen" if self.head == "linear" else "dense"

    def multiply_adds(self, inputs: Inputs) -> float:
        """Encoder and UperNet, whose 3x3 convolutions on the finest map (a quarter patch) are most of its work; of a
        linear layer on a frozen encoder, the encoder's forward pass.
        """
        variant, optimization = encoder_size(inputs), self.optimization
        places = (4 * self.crop_size / variant.patch_size) ** 2
        head = places * 9 * variant.dim**2 * (4 + 1 + 1 / 4 + 1 / 16)  # fusing four maps; a convolution on three each
        windows = ((1 + 1 / 3) * self.crop_size / self.stride) ** 2  # of an image of 4:3
        trained, tested = optimization.iterations * optimization.global_batch, windows * self.data.size.val
        encoder = encode(variant, self.crop_size)
        return (trained + tested) * encoder if self.head == "linear" else (3 * trained + tested) * (encoder + head)

    def protocol(self) -> Protocol:
        """See `Spec`."""
        frozen = self.head == "linear"
        return {
            "feature": "patch tokens, frozen" if frozen else "four blocks, trained",
            "norm": "final norm" if frozen else "none",
            "pooling": "none" if frozen else "UperNet",
            "augmentation": f"scale 0.5 to 2, crop {self.crop_size}, flip, colours",
            "selection": "last iteration",
            "resolution": f"windows of {self.crop_size}, stride {self.stride}",
            **describe_optimization(self.optimization),
        }


class Setting(NamedTuple):
    """What differs between variants."""

    lr: float
    layer_decay: float
    drop_path: float


# B, L: official configs_local/cae/upernet. S: the paper has no ViT-S in Table 2; B's settings.
SETTINGS: dict[str, Setting] = {
    "vit_s": Setting(3e-4, 0.65, 0.1),
    "vit_b": Setting(3e-4, 0.65, 0.1),
    "vit_l": Setting(4e-5, 0.95, 0.15),
    "vit_h": Setting(4e-5, 0.95, 0.15),  # no source: ViT-L's
}


def ade20k(variant: VariantName = "vit_b", data: DataName = "ade20k") -> Segmentation:
    """UperNet on ADE20K. Source: the official configs_local/cae/upernet and _base_/models/upernet_cae.py.

    Expects: 48.3 mIoU for CAE* ViT-B at 300 epochs (Tables 2 and 5).
    Differs from the paper: bf16 in place of fp16 (ADR 8); only the last iteration is evaluated (ADR 12).
    """
    setting = SETTINGS[variant]
    return Segmentation(
        kind="segmentation",
        data=named(data),
        optimization=DenseOptimization(
            optimizer=AdamW(kind="adamw"),
            iterations=160_000,
            warmup_iterations=1500,
            warmup_ratio=1e-6,
            global_batch=16,
            lr=setting.lr,
            layer_decay=setting.layer_decay,
            schedule="poly",
        ),
        crop_size=512,
        stride=341,
        channels=VARIANTS[variant].dim,
        drop_path=setting.drop_path,
    )


def linear_segmentation(variant: VariantName = "vit_b", data: DataName = "ade20k") -> Segmentation:
    """A linear layer on frozen patch tokens, the same for every variant. Source: DINOv2 (arXiv 2304.07193), Sec. 7.4.

    Not in the paper.
    """
    return Segmentation(
        kind="segmentation",
        data=named(data),
        optimization=DenseOptimization(
            optimizer=AdamW(kind="adamw", weight_decay=1e-4),
            iterations=40_000,
            warmup_iterations=1500,
            warmup_ratio=1e-6,
            global_batch=16,
            lr=1e-3,
            layer_decay=1.0,
            schedule="poly",
        ),
        crop_size=512,
        stride=341,
        channels=VARIANTS[variant].dim,
        drop_path=0.0,
        relative_position_bias=False,
        head="linear",
    )
