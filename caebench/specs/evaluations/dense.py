"""What the evaluations have in common whose encoder trains along on labels of places: masks, maps, boxes."""

from typing import Annotated

from pydantic import BeforeValidator, Field, SerializeAsAny

from caebench.specs.arithmetic import trained_bytes
from caebench.specs.by_kind import of_kinds
from caebench.specs.dense_optim import DenseOptimization
from caebench.specs.inputs.dataset import Data
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

    def disk_bytes(self, inputs: Inputs) -> int:
        """Its checkpoints."""
        return trained_bytes(encoder_size(inputs))


DENSE_TASKS: dict[str, type[DenseTask]] = {}  # by kind; `registry` fills it
AnyDenseTask = Annotated[SerializeAsAny[DenseTask], BeforeValidator(of_kinds(DENSE_TASKS))]
