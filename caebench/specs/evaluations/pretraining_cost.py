"""What a pretraining's step costs compared with another's."""

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import PositiveInt

from caebench.specs.identity import kind_of
from caebench.specs.inputs.dataset import Data
from caebench.specs.job import EncoderSpec, Inputs, Job, Protocol, Spec, make_job
from caebench.specs.methods.cae import cae
from caebench.specs.pretrain import Pretrain
from caebench.specs.scale import Scale
from caebench.specs.variants import VariantName


class PretrainingCost(Spec):
    """The cost of a step of one pretraining compared with another's: parameters and time, as ratios."""

    FOLDER: ClassVar[str | None] = "cost"
    UNITS: ClassVar[Mapping[str, str]] = {
        "parameter_ratio": "ratio",
        "time_ratio": "ratio",
        "num_parameters": "parameters",
        "step_seconds": "seconds",
    }
    METRICS: ClassVar[tuple[str, ...]] = tuple(UNITS)
    HIGHER_IS_BETTER: ClassVar[bool] = False
    NEEDS_ENCODER: ClassVar[bool] = False

    kind: Literal["pretraining_cost"]
    pretraining: Pretrain
    """The pretraining that is measured: the row's."""
    against: Pretrain
    """The pretraining that it is compared with."""
    num_images: PositiveInt = 64
    """Images of a step, at most."""
    num_steps: PositiveInt = 20
    """Steps of each, interleaved."""

    @classmethod
    def unit(cls, metric: str) -> str:
        """See `Spec`."""
        return cls.UNITS[metric]

    @property
    def data(self) -> Data:
        """The images come from the pretraining's data."""
        return self.pretraining.data

    def slug(self, inputs: Inputs, mark: str) -> str:
        """The pretraining's."""
        return self.pretraining.slug(inputs, mark)

    def implied(self, inputs: Inputs) -> dict[str, Job]:
        """What the pretraining depends on."""
        return dict(make_job(self.pretraining).inputs)

    def scaled(self, scale: Scale) -> Self:
        """Both pretrainings."""
        return self.replace(pretraining=scale.apply(self.pretraining), against=scale.apply(self.against))

    def multiply_adds(self, inputs: Inputs) -> float:
        """Of the steps of both."""
        per_image = self.pretraining.step_multiply_adds() + self.against.step_multiply_adds()
        return per_image * self.num_images * self.num_steps

    def protocol(self) -> Protocol:
        """See `Spec`."""
        return {"feature": "a training step", "selection": f"median of {self.num_steps}"}


def pretraining_cost(variant: VariantName = "vit_b", pretraining: EncoderSpec | None = None) -> PretrainingCost:
    """A pretraining's step compared with that of the same with neither decoder nor alignment. Source: CAE, Sec. 5.1.

    Expects: 1.23 times the parameters and 1.24 times the time for CAE* ViT-B.

    Raises:
        ValueError: the row trains nothing, or something other than CAE.
    """
    if not isinstance(pretraining, Pretrain | None):
        raise ValueError("the column measures a pretraining's cost, and this row trains nothing. Leave the row out")
    full = pretraining or cae(variant)
    if (bare := full.method.bare()) is None:
        raise ValueError(f"the column measures CAE's decoder and alignment, and {kind_of(full.method)} has neither")
    return PretrainingCost(kind="pretraining_cost", pretraining=full, against=full.replace(method=bare))
