"""What DINO and iBOT share."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from caebench.specs.arithmetic import encode, encoder_parameters
from caebench.specs.methods.base import Method
from caebench.specs.optim import AdamW, Optimization
from caebench.specs.scale import MethodRule, Ratios, Scale, Shrink, forget
from caebench.specs.variants import Variant, VariantName


class SelfDistillation(Method):
    """What DINO and iBOT share. Epochs here are of the published schedules; a scale shrinks them with the others."""

    VERSION: ClassVar[int] = 2
    RULES: ClassVar[Mapping[str, MethodRule]] = {
        "nano": MethodRule(
            Shrink(epochs=0.025, batch=32, lr=1.0),
            divide={"prototypes": 128, "hidden_dim": 16, "bottleneck_dim": 4, "num_local": 5},
        ),
        "lab": MethodRule(
            Shrink(epochs=0.1, batch=4, lr=2.0),
            divide={"prototypes": 8, "hidden_dim": 4, "bottleneck_dim": 1, "num_local": 2},
            memory=4.0,
        ),
    }

    prototypes: PositiveInt
    """Outputs of the head."""
    hidden_dim: PositiveInt = 2048
    """Hidden width of the head."""
    bottleneck_dim: PositiveInt = 256
    """Width before the prototypes."""
    norm_last_layer: bool = True
    """The prototypes have unit length; false for ViT-S."""
    student_temperature: PositiveFloat = 0.1
    """The student's temperature."""
    teacher_temperature: PositiveFloat = 0.07
    """The teacher's temperature, after its rise."""
    teacher_temperature_start: PositiveFloat = 0.04
    """The teacher's temperature at the start."""
    teacher_temperature_epochs: NonNegativeFloat = 50.0
    """Epochs of its linear rise."""
    center_momentum: float = Field(default=0.9, ge=0.0, le=1.0)
    """Momentum of the centre of the outputs."""
    momentum: float = Field(default=0.996, ge=0.0, le=1.0)
    """Momentum of the teacher; rises to 1 along a cosine."""
    frozen_epochs: NonNegativeFloat = 3.0
    """Epochs in which the prototypes stay as they are; --freeze_last_layer."""
    drop_path: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Stochastic depth of the student's last block; it grows linearly from 0."""
    init_std: PositiveFloat = 0.02
    """Deviation of initial linear weights; a scale multiplies it by 1 / sqrt(width) from ViT-B's 768."""
    num_local: PositiveInt = 10
    """Small crops, in addition to the two large ones."""
    local_size: PositiveInt = 96
    """Pixels of a small crop's side."""
    local_scale_min: float = Field(default=0.05, gt=0.0, le=1.0)
    """The least share of the image in a small crop."""
    local_scale_max: float = Field(default=0.25, gt=0.0, le=1.0)
    """The largest share of the image in a small crop."""
    blur_max: PositiveFloat = 2.0
    """The largest deviation of the blur, in pixels."""

    def shrunk(self, scale: Scale, rule: MethodRule, ratios: Ratios, variant: VariantName) -> dict[str, Any]:
        """Lengths that count epochs, momentum, crops and blur."""
        return {
            "teacher_temperature_epochs": self.teacher_temperature_epochs * ratios.epochs,
            "frozen_epochs": self.frozen_epochs * ratios.epochs,
            "momentum": forget(self.momentum, rule.memory),
            "local_size": round(self.local_size * ratios.side),
            "local_scale_min": scale.crop(self.local_scale_min),
            "local_scale_max": scale.crop(self.local_scale_max),
            "blur_max": self.blur_max * ratios.side,
        }

    def head_parameters(self, dim: int) -> float:
        """Weights of one head; as many multiply-adds a token."""
        hidden, bottleneck = self.hidden_dim, self.bottleneck_dim
        return hidden * (dim + hidden) + bottleneck * (hidden + self.prototypes)

    def num_places(self, patches: float) -> float:
        """Tokens of a large crop that go through the head."""
        return 1.0

    def step_multiply_adds(self, variant: Variant, image_size: int) -> float:
        """Two large crops through student and teacher, the small ones through the student."""
        head, small = self.head_parameters(variant.dim), encode(variant, self.local_size)
        places = self.num_places((image_size / variant.patch_size) ** 2)
        large = 2 * (3 + 1) * (encode(variant, image_size) + places * head)
        return large + 3 * self.num_local * (small + head)

    def num_parameters(self, variant: Variant) -> float:
        """Student and teacher, each with its head."""
        return 2 * (encoder_parameters(variant) + self.head_parameters(variant.dim))


def distillation_schedule(epochs: int) -> Optimization:
    """What the released ViT-B of DINO and of iBOT share."""
    return Optimization(
        optimizer=AdamW(kind="adamw", weight_decay=0.04, weight_decay_end=0.4),
        epochs=epochs,
        warmup_epochs=10,
        global_batch=1024,
        base_lr=7.5e-4,  # --lr, for 256 images
        min_lr=2e-6,
        clip_grad=0.3,
        clip_grad_of="each",
    )
