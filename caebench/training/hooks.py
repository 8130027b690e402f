"""What a method does around a step of the optimizer, beside following the gradient."""

import math
from dataclasses import dataclass

LOG_EVERY = 10  # steps; also how often processes agree on stopping and saving


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

    @property
    def is_logged(self) -> bool:
        """Whether a line of metrics follows the step."""
        return (self.step + 1) % LOG_EVERY == 0 or self.step + 1 == self.total

    def cosine(self, start: float, end: float) -> float:
        """Half a cosine from `start` at the first step towards `end` after the last."""
        return end + 0.5 * (start - end) * (1.0 + math.cos(math.pi * self.step / self.total))


class Hooks:
    """Nothing at all; methods with a momentum encoder, a centre or a frozen layer do more.

    What they keep between steps belongs into the module's state, or killed and resumed would differ from unbroken.
    """

    is_logged = True  # the loop says before each step whether anyone will read more than the loss

    def before_step(self, moment: Moment) -> None:
        """Before the step's first micro-batch."""

    def before_update(self, moment: Moment) -> None:
        """With the gradients there, and clipped."""

    def after_step(self, moment: Moment) -> None:
        """With the parameters updated."""
