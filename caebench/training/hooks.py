"""What a method does around a step of the optimizer, beside following the gradient."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Moment:
    """Where a step stands in its run."""

    step: int  # steps that came before it
    total: int
    steps_per_epoch: int

    @property
    def epoch(self) -> float:
        """Epochs that came before it."""
        return self.step / self.steps_per_epoch

    def cosine(self, start: float, end: float) -> float:
        """Half a cosine from `start` at the first step towards `end` after the last."""
        return end + 0.5 * (start - end) * (1.0 + math.cos(math.pi * self.step / self.total))


class Hooks:
    """Nothing at all; methods with a momentum encoder, a centre or a frozen layer do more.

    What they keep between steps belongs into the module's state, or killed and resumed would differ from unbroken.
    """

    def before_step(self, moment: Moment) -> None:
        """Before the step's first micro-batch."""

    def before_update(self, moment: Moment) -> None:
        """With the gradients there, and clipped."""

    def after_step(self, moment: Moment) -> None:
        """With the parameters updated."""
