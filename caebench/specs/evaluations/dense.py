"""What the evaluations have in common whose encoder trains along on labels of places: masks, maps, boxes."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, SerializeAsAny

from caebench.specs.arithmetic import trained_bytes
from caebench.specs.base import Config
from caebench.specs.by_kind import of_kinds
from caebench.specs.dense_optim import DenseOptimization
from caebench.specs.inputs.dataset import Data, OwnData
from caebench.specs.job import Inputs, Spec, encoder_size


class DenseTask(Spec):
    """A task with a schedule in iterations."""

    data: Data
    """The data set that it trains and is evaluated on."""
    optimization: DenseOptimization
    """Optimizer, schedule, batch and precision."""
    drop_path: float = Field(ge=0.0, lt=1.0)
    """Stochastic depth of the encoder's last block; it grows linearly from 0."""
    seed: int = 0
    """Seed of all randomness; `--seeds` sets it, a suite never does."""

    @property
    def batch_multiple(self) -> int:
        """What the batch is a multiple of."""
        return 1

    def on_site(self, found: Mapping[str, Config]) -> Self:
        """See `Config`; on a user's data set the batch is at most its training images."""
        new = super().on_site(found)
        if not isinstance(new.data, OwnData) or new.data.contents is None:
            return new
        return new.replace(optimization=new.optimization.fitted(new.data.size.train, new.batch_multiple))

    def disk_bytes(self, inputs: Inputs) -> int:
        """Its checkpoints."""
        return trained_bytes(encoder_size(inputs))


DENSE_TASKS: dict[str, type[DenseTask]] = {}  # by kind; `registry` fills it
AnyDenseTask = Annotated[SerializeAsAny[DenseTask], BeforeValidator(of_kinds(DENSE_TASKS))]
