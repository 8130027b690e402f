"""The attentive probe on ImageNet-1k."""

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt

from caebench.specs.evaluations.frozen import TOP, FrozenProbe, Selection, best_epoch, describe_crops
from caebench.specs.inputs.dataset import IMAGE_SIZE, Data
from caebench.specs.inputs.named import DataName, named
from caebench.specs.job import Choice, Inputs, Protocol, encoder_size
from caebench.specs.optim import SGD, Optimization
from caebench.specs.scale import Scale, Shrink
from caebench.specs.variants import VariantName

RULES: Mapping[str, Shrink] = {
    "nano": Shrink(epochs=0.22, batch=32, lr=16.0),
    "lab": Shrink(epochs=0.2, batch=16, lr=8.0),
}


class AttentiveProbe(FrozenProbe):
    """Attentive probe (CAE, Sec. 4.2; official tools/run_attentive.py): one cross-attention with its own query."""

    VERSION: ClassVar[int] = 2
    METRICS: ClassVar[tuple[str, ...]] = TOP

    kind: Literal["attentive_probe"]
    data: Data
    image_size: PositiveInt
    optimization: Optimization
    tokens: Literal["all", "patches"] = "all"
    """Which tokens are attended to. The paper's text says patches, its code feeds the class token too (ADR 3)."""
    init_std: PositiveFloat = 0.02
    """Deviation of the attention's initial weights; a scale multiplies it by 1 / sqrt(width) from ViT-B's 768."""
    selection: Selection = "best_epoch"
    """Which epoch is reported; the official code reports its best one on the validation set."""
    crop_scale_min: float = Field(default=0.08, gt=0.0, le=1.0)
    crop: Literal["retry", "one_try"] = "retry"
    """Where a drawn crop does not fit: `retry` draws another, `one_try` cuts it, as the linear probe's."""
    seed: int = 0

    def crop_rule(self) -> str:
        """See `FrozenProbe`."""
        return self.crop

    def scaled(self, scale: Scale) -> Self:
        """A shorter schedule on smaller images."""
        shrink = scale.rule(self.kind, RULES)
        return self.replace(
            init_std=self.init_std * scale.init_std,
            optimization=shrink.apply(self.optimization, scale.precision),
            **scale.images(self),
        )

    def head_parameters(self, inputs: Inputs) -> int:
        """The attention's four matrices, and a linear layer."""
        return super().head_parameters(inputs) + 4 * encoder_size(inputs).dim ** 2

    def protocol(self) -> Protocol:
        """See `Spec`."""
        pooling = "one cross-attention with its own query"
        own = {"feature": f"{self.tokens} tokens", "norm": "final norm", "pooling": pooling}
        return {**own, **describe_crops(self)}

    def choice(self, metric: str) -> Choice | None:
        """See `Spec`."""
        return best_epoch(self, metric)


def attentive_probe(variant: VariantName = "vit_b", data: DataName = "imagenet1k") -> AttentiveProbe:
    """Attentive probe, the same for every variant. Source: the official tools/run_attentive.py; CAE, Sec. 4.2.

    Expects: 73.8 for CAE* ViT-B at 300 epochs (Table 1).
    Differs from the official code: validation batches never normalise themselves (ADR 3).
    """
    optimization = Optimization(
        optimizer=SGD(kind="sgd"),
        epochs=90,
        warmup_epochs=10,
        global_batch=8192,
        base_lr=0.4 * 256 / 8192,
        min_lr=1e-6,
    )
    return AttentiveProbe(kind="attentive_probe", data=named(data), image_size=IMAGE_SIZE, optimization=optimization)
