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
    optimization: DenseOptimization
    drop_path: float = Field(ge=0.0, lt=1.0)
    seed: int = 0

    def disk_bytes(self, inputs: Inputs) -> int:
        """Its checkpoints."""
        return trained_bytes(encoder_size(inputs))


DENSE_TASKS: dict[str, type[DenseTask]] = {}  # by kind; `registry` fills it
AnyDenseTask = Annotated[SerializeAsAny[DenseTask], BeforeValidator(of_kinds(DENSE_TASKS))]
