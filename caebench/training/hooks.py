"""What a method does around an optimizer step, in addition to following the gradient."""

import math
from dataclasses import dataclass

LOG_EVERY = 10  # steps; also how often processes agree on stopping and saving


@dataclass(frozen=True)
class StepInfo:
    """A step's position in its training."""

    step: int  # steps before it
    total: int
    steps_per_epoch: int

    @property
    def epoch(self) -> float:
        """Epochs before it."""
        return self.step / self.steps_per_epoch

    @property
    def is_logged(self) -> bool:
        """Whether metrics are logged after the step."""
        return (self.step + 1) % LOG_EVERY == 0 or self.step + 1 == self.total

    def cosine(self, start: float, end: float) -> float:
        """Half a cosine from `start` at the first step towards `end` after the last."""
        return end + 0.5 * (start - end) * (1.0 + math.cos(math.pi * self.step / self.total))


class Hooks:
    """Does nothing; methods with a momentum encoder, a centre or a frozen layer override it.

    What they keep between steps must be in the module's state, or a resumed job would differ from an uninterrupted one.
    """

    is_logged = True  # set by the loop before each step: whether more than the loss will be logged

    def before_step(self, info: StepInfo) -> None:
        """Before the step's first micro-batch."""

    def before_update(self, info: StepInfo) -> None:
        """With the gradients computed and clipped."""

    def after_step(self, info: StepInfo) -> None:
        """With the parameters updated."""
