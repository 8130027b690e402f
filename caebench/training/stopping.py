"""How often the processes of a training ask each other whether to stop: so that a stop is heard within ten seconds."""

import time

from caebench.training.distributed import Group
from caebench.training.hooks import LOG_EVERY

HEARD_WITHIN = 10.0  # seconds


class StopInterval:
    """From 1 step to LOG_EVERY; the same in every process. Between two questions nothing waits for the device."""

    def __init__(self, group: Group, step: int) -> None:
        self.group, self.steps = group, 1  # until the time of a step is known
        self._last = step, time.monotonic()

    def measure(self, step: int) -> None:
        """Set it by the time that the steps since the last measure took in the first process.

        All processes must call this at the same steps.
        """
        (before, then), self._last = self._last, (step, time.monotonic())
        if step == before:
            return
        per_step = max((self._last[1] - then) / (step - before), 1e-9)
        self.steps = self.group.of_first(max(1, min(LOG_EVERY, int(HEARD_WITHIN / per_step))))

    def is_over(self, step: int) -> bool:
        """Whether to ask after a step."""
        return step % self.steps == 0
