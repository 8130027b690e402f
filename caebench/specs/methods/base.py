"""What every pretraining method says of itself: a part of a pretraining's config, whose kind of job is `pretrain`."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, SerializeAsAny

from caebench.specs.arithmetic import encoder_parameters
from caebench.specs.base import Config
from caebench.specs.by_kind import of_kinds
from caebench.specs.identity import kind_of
from caebench.specs.masking import Masking
from caebench.specs.optim import Optimization
from caebench.specs.scale import MethodRule, Ratios, Scale, Shrink, divided
from caebench.specs.targets import CodeTarget
from caebench.specs.variants import Variant, VariantName

DEFAULT_RULES: Mapping[str, MethodRule] = {  # of a method that has none of its own
    "nano": MethodRule(Shrink(epochs=0.03, batch=64, lr=80.0)),
    "lab": MethodRule(Shrink(epochs=0.1, batch=4, lr=4.0)),
}


class Method(Config):
    """A pretraining method: its fields, and what plans, costs and scales ask of it."""

    VERSION: ClassVar[int] = 1  # raised when a change of code alters its numbers
    RULES: ClassVar[Mapping[str, MethodRule]] = DEFAULT_RULES

    def versions(self) -> list[int]:
        """Its version, and those of its parts that have changed."""
        return [self.VERSION]

    def masks(self) -> Masking | None:
        """Its masks; None where every patch is seen."""
        return getattr(self, "masking", None)

    def code_target(self) -> CodeTarget | None:
        """The codes that it predicts; None where it predicts something else."""
        return None

    def bare(self) -> Self | None:
        """The same with neither decoder nor alignment, whose cost CAE reports; None where a method has neither."""
        return None

    def words(self, images: str) -> str:
        """Its part of a job's name; `images` is the data set that it learns from."""
        return kind_of(self)

    def check(self, optimization: Optimization) -> None:
        """Refuse an optimisation that the method cannot have; see `DeiT`."""

    def scaled(self, scale: Scale, rule: MethodRule, ratios: Ratios, variant: VariantName) -> Self:
        """The method at a scale, in a pretraining of the paper's variant."""
        changes: dict[str, Any] = divided(self, rule.divide)
        if (masking := self.masks()) is not None:
            changes["masking"] = masking.shrunk(scale.grid(variant))
        if (init_std := getattr(self, "init_std", None)) is not None:
            changes["init_std"] = init_std * scale.init_std
        return self.replace(**changes | self.shrunk(scale, rule, ratios, variant))

    def shrunk(self, scale: Scale, rule: MethodRule, ratios: Ratios, variant: VariantName) -> dict[str, Any]:
        """The fields of its own that a scale changes."""
        return {}

    @abstractmethod
    def step_multiply_adds(self, variant: Variant, image_size: int) -> float:
        """One image's share of a step; a backward pass counts as two forward passes."""

    def num_parameters(self, variant: Variant) -> float:
        """Weights in training, momentum copies included."""
        return encoder_parameters(variant)


METHODS: dict[str, type[Method]] = {}  # by kind; `registry` fills it
AnyMethod = Annotated[SerializeAsAny[Method], BeforeValidator(of_kinds(METHODS))]
