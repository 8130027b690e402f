"""What is done about a loss that is not finite: the steps since the last checkpoint are repeated.

A fault of a device or of its memory does not recur, so the repeated steps give what an undisturbed training gives.
Where the same step fails again, it is the training's own fault: the job fails, or leaves that step out if its recipe
allows it.
"""

from dataclasses import dataclass

MOST = 10  # repetitions in one attempt: a device that fails as often is not to be trusted


class Diverged(ArithmeticError):
    """A loss, or a gradient, that is not finite."""

    def __init__(self, what: str, advice: str, step: int, may_skip: int = 0) -> None:
        super().__init__(f"{what}. {advice}")
        self.what = what  # is not finite, and where
        self.step = step  # counted from 1
        self.may_skip = may_skip  # steps that the recipe allows to leave out


@dataclass
class Repetition:
    """What the earlier tries of an attempt have found; the same in every process."""

    count: int = 0
    step: int = 0  # at or before which the last try failed
    skipped: tuple[int, ...] = ()  # steps to leave out

    @property
    def checks_every_step(self) -> bool:
        """Whether to wait for the device after every step, to know which one fails."""
        return self.count > 0

    def again(self, error: Diverged) -> bool:
        """Whether to try again after a failure, from the last checkpoint."""
        self.count += 1
        if self.count > MOST:
            return False
        is_new = error.step > self.step
        self.step = max(self.step, error.step)
        if is_new:
            return True
        if len(self.skipped) < error.may_skip and error.step not in self.skipped:
            self.skipped = (*self.skipped, error.step)
            return True
        return False
