"""One dense task at several learning rates."""

from typing import ClassVar, Literal, Self

from pydantic import Field, PositiveFloat

from caebench.specs.evaluations.dense import AnyDenseTask, DenseTask
from caebench.specs.evaluations.segmentation import ade20k
from caebench.specs.inputs.named import DataName
from caebench.specs.job import Choice, Inputs, Job, Protocol, Spec, make_job
from caebench.specs.scale import Scale
from caebench.specs.variants import VariantName


class LearningRateGrid(Spec):
    """One task at several learning rates, a job each: the best is chosen on the validation images, and all are kept."""

    METRICS: ClassVar[tuple[str, ...]] = ("mIoU", "mIoU_median", "mAcc", "aAcc")

    kind: Literal["lr_grid"]
    task: AnyDenseTask
    """The task at each rate."""
    rates: tuple[PositiveFloat, ...] = Field(min_length=2)
    """Learning rates, a job each."""
    seed: int = 0
    """Seed of all randomness; `--seeds` sets it, a suite never does."""

    @staticmethod
    def role(rate: float) -> str:
        """What the job at a rate is called among the inputs of the job that selects."""
        return f"lr_{rate:g}"

    def at(self, rate: float) -> DenseTask:
        """The task at one of the rates."""
        return self.task.replace(optimization=self.task.optimization.replace(lr=rate), seed=self.seed)

    def slug(self, inputs: Inputs, mark: str) -> str:
        """The data set and the encoder."""
        return f"{self.task.data.name}{mark}-{inputs['encoder'].slug}"

    def implied(self, inputs: Inputs) -> dict[str, Job]:
        """A job a learning rate."""
        return {self.role(rate): make_job(self.at(rate), encoder=inputs["encoder"]) for rate in self.rates}

    def scaled(self, scale: Scale) -> Self:
        """The task, and each of its rates."""
        rates = tuple(scale.apply(self.at(rate)).optimization.lr for rate in self.rates)
        return self.replace(task=scale.apply(self.task), rates=rates)

    def protocol(self) -> Protocol:
        """See `Spec`."""
        rates = ", ".join(f"{rate:g}" for rate in self.rates)
        return {**self.task.protocol(), "rate": rates, "selection": "median over the rates"}

    def choice(self, metric: str) -> Choice | None:
        """See `Spec`."""
        return Choice(f"{metric}_median", metric, f"{len(self.rates)} rates") if metric == self.chosen_by else None

    def readings(self, metric: str) -> dict[float, str]:
        """See `Spec`: a metric a rate."""
        return {rate: f"{metric}_{self.role(rate)}" for rate in self.rates} if metric == self.chosen_by else {}

    @property
    def chosen_by(self) -> str:
        """The metric by which the best rate is chosen."""
        return self.task.METRICS[0]


RATES: dict[str, tuple[float, ...]] = {
    "vit_s": (1e-4, 2e-4, 3e-4, 4e-4),
    "vit_b": (1e-4, 2e-4, 3e-4, 4e-4),
    "vit_l": (3e-5, 4e-5, 5e-5),
    "vit_h": (3e-5, 4e-5, 5e-5),  # no source: ViT-L's
}


def ade20k_grid(variant: VariantName = "vit_b", data: DataName = "ade20k") -> LearningRateGrid:
    """UperNet at each of several learning rates, and the best of them. Source: the rates of CAE's Table 2.

    Every method gets the same rates: the official configs have one a checkpoint.
    """
    return LearningRateGrid(kind="lr_grid", task=ade20k(variant, data), rates=RATES[variant])
