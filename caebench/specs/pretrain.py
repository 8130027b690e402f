"""Pretraining of an encoder."""

from typing import ClassVar, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from caebench.specs.arithmetic import BYTES, KEPT, STATES
from caebench.specs.identity import kind_of
from caebench.specs.inputs.code_cache import Codes
from caebench.specs.inputs.dataset import Data
from caebench.specs.job import EncoderSpec, Inputs, Job
from caebench.specs.methods.base import AnyMethod
from caebench.specs.optim import Optimization
from caebench.specs.scale import Ratios, Scale
from caebench.specs.variants import VARIANTS, Variant, VariantName, num_patches


class Pretrain(EncoderSpec):
    """Pretraining of an encoder: self-supervised, or supervised with DeiT."""

    VERSION: ClassVar[int] = 2

    kind: Literal["pretrain"]
    variant: VariantName
    """The encoder's size."""
    method: AnyMethod
    """The method and its fields."""
    data: Data
    """The data set that it trains on."""
    image_size: PositiveInt
    """Pixels of a side."""
    optimization: Optimization
    """Optimizer, schedule, batch and precision."""
    crop_scale_min: float = Field(default=0.08, gt=0.0, le=1.0)
    """The least share of the image in a crop; official --crop_min_size."""
    seed: int = 0
    """Seed of all randomness; `--seeds` sets it, a suite never does."""

    @model_validator(mode="after")
    def _check_patches(self) -> Self:
        patches, masking = num_patches(self.image_size, self.size), self.method.masks()
        if masking is not None and not 0 < (num_masked := masking.num_masked(patches)) < patches:
            raise ValueError(
                f"method.masking.ratio {masking.ratio} masks {num_masked} of {patches} patches: some must be "
                "masked and some visible. Choose another ratio"
            )
        return self

    @property
    def size(self) -> Variant:
        """The encoder's sizes."""
        return VARIANTS[self.variant]

    def versions(self) -> list[int]:
        """Of pretraining, of the method, and of its parts that have changed."""
        return [self.VERSION, *self.method.versions()]

    def slug(self, inputs: Inputs, mark: str) -> str:
        """Method and target, size, length, seed."""
        words = self.method.words(self.data.name)
        return f"{words}-{self.variant}-{self.optimization.epochs}e{mark}-s{self.seed}"

    def implied(self, inputs: Inputs) -> dict[str, Job]:
        """The tokenizer, where it predicts codes, and the data."""
        target = self.method.code_target()
        tokenizer = {} if target is None else {"tokenizer": target.tokenizer_job()}
        return {**tokenizer, **super().implied(inputs)}

    def check(self, inputs: Inputs) -> None:
        """See `Spec`; and what the method refuses."""
        super().check(inputs)
        self.method.check(self.optimization)

    def codes(self, epochs: int) -> Codes | None:
        """The codes that it trains on; None where its targets are no codes."""
        if (target := self.method.code_target()) is None:
            return None
        side = round(num_patches(self.image_size, self.size) ** 0.5)
        return Codes(
            kind="codes",
            target=target,
            data=self.data,
            view_size=side * target.stride,
            crop_scale_min=self.crop_scale_min,
            color_jitter=getattr(self.method, "color_jitter", 0.0),
            epochs=epochs,
            seed=self.seed,
        )

    def scaled(self, scale: Scale) -> Self:
        """Variant, method, schedule and images of the scale."""
        rule = scale.rule(f"pretrain/{kind_of(self.method)}", self.method.RULES)
        optimization, before = rule.schedule.apply(self.optimization, scale.precision), self.optimization
        ratios = Ratios(
            epochs=optimization.epochs / before.epochs,
            batch=optimization.global_batch / before.global_batch,
            side=scale.size(self.image_size) / self.image_size,
        )
        return self.replace(
            variant=scale.variants[self.variant],
            method=self.method.scaled(scale, rule, ratios, self.variant),
            optimization=optimization,
            **scale.images(self),
        )

    def step_multiply_adds(self) -> float:
        """One image's share of a step."""
        return self.method.step_multiply_adds(self.size, self.image_size)

    def multiply_adds(self, inputs: Inputs) -> float:
        """Of every step."""
        return self.step_multiply_adds() * self.data.size.train * self.optimization.epochs

    def disk_bytes(self, inputs: Inputs) -> int:
        """Encoder, network and two checkpoints with AdamW's state."""
        return int(self.method.num_parameters(self.size) * BYTES * (2 + KEPT * STATES))
