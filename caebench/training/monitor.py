"""The monitor of every training loop: it logs metrics, and decides when to stop or save."""

import math
import time
from collections.abc import Mapping

import torch
from torch import Tensor

from caebench.files.layout import METRICS
from caebench.training.run import Run
from caebench.training.signals import Interrupted, first_raised
from caebench.training.stopping import StopInterval

SPEED = "images_per_second"


class Diverged(ArithmeticError):
    """A loss that is not finite."""


class Monitor:
    """Lines of metrics, progress, and the time of the next checkpoint."""

    def __init__(self, run: Run, *, step: int, total: int, global_batch: int, lr_field: str) -> None:
        self.run, self.total, self.global_batch, self.lr_field = run, total, global_batch, lr_field
        self.logged_step = step
        self.last_log = self.last_save = time.monotonic()
        self.interval = StopInterval(run.group, step)

    def means(self, values: Mapping[str, Tensor]) -> dict[str, float]:
        """The means over processes."""
        stacked = self.run.group.mean(torch.stack([value.detach().float() for value in values.values()]))
        return dict(zip(values, stacked.tolist(), strict=True))

    def speed(self, step: int) -> float:
        """Images per second since the last line."""
        seconds = max(time.monotonic() - self.last_log, 1e-9)
        return round((step - self.logged_step) * self.global_batch / seconds, 2)

    def log(self, step: int, shown: Mapping[str, float], **more: float) -> None:
        """Write one line of metrics, and show progress.

        Raises:
            Diverged: the loss is not finite.
        """
        self.run.append_metrics(step=step, **{**more, SPEED: self.speed(step), **shown})
        self.run.progress(step, self.total, shown)
        self.interval.measure(step)
        self.logged_step, self.last_log = step, time.monotonic()
        self.check(step, shown["loss"])

    def check(self, step: int, loss: float) -> None:
        """Check a loss.

        Raises:
            Diverged: it is not finite.
        """
        if not math.isfinite(loss):
            raise Diverged(
                f"{self.run.folder}: loss is {loss} at step {step} of {self.total}. "
                f"See {METRICS}; lower {self.lr_field} or use fp32, and run the suite again."
            )

    def decide(self) -> tuple[str | None, bool]:
        """The signal to stop for, if any, and whether a checkpoint is due: the same in every process."""
        overdue = time.monotonic() - self.last_save > 60.0 * self.run.site.checkpoint_minutes
        due, *signals = self.run.group.any([overdue, *self.run.stop.flags])
        return first_raised(signals), due

    def stop_between(self, step: int, loss: Tensor) -> str | None:
        """The signal to stop for after a step that is not logged, if any; asked as often as it has to be.

        Raises:
            Diverged: there is one, and the loss is not finite: a checkpoint would keep that.
        """
        signal = self.run.agreed_stop() if self.interval.is_over(step) else None
        if signal is not None:
            self.check(step, self.means({"loss": loss})["loss"])
        return signal

    def saved(self) -> None:
        """Record that a checkpoint was written."""
        self.last_save = time.monotonic()

    def interruption(self, step: int, signal: str) -> Interrupted:
        """The exception to raise after the last save."""
        return Interrupted(f"stopped by {signal} at step {step} of {self.total}, saved", signal)
