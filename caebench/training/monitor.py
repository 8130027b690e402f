"""The monitor of every training loop: it logs metrics, and decides when to stop or save."""

import math
import time
from collections.abc import Mapping

import torch
from torch import Tensor

from caebench.files.layout import METRICS
from caebench.training.repeating import Diverged
from caebench.training.run import Run
from caebench.training.signals import Interrupted, first_raised
from caebench.training.stopping import StopInterval

SPEED = "images_per_second"
GRADIENT = "grad_norm"


class Monitor:
    """Lines of metrics, progress, and the time of the next checkpoint."""

    may_skip = 0  # steps that the recipe allows to leave out
    is_scaled = False  # whether the loss is, for fp16: then the scaler looks after gradients that are not finite

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
            Diverged: the loss or the gradient is not finite.
        """
        self.run.append_metrics(step=step, **{**more, SPEED: self.speed(step), **shown})
        self.run.progress(step, self.total, shown)
        self.interval.measure(step)
        self.logged_step, self.last_log = step, time.monotonic()
        self.check(step, shown)

    def check(self, step: int, values: Mapping[str, float]) -> None:
        """Check the loss of a step, and the norm of its gradient if that is known.

        Raises:
            Diverged: one is not finite.
        """
        for name in ("loss",) if self.is_scaled else ("loss", GRADIENT):
            if not math.isfinite(value := values.get(name, 0.0)):
                raise Diverged(
                    f"{self.run.folder}: {name} is {value} at step {step} of {self.total}",
                    f"See {METRICS}; lower {self.lr_field} or use fp32, and run the suite again.",
                    step,
                    self.may_skip,
                )

    def decide(self) -> tuple[str | None, bool]:
        """The signal to stop for, if any, and whether a checkpoint is due: the same in every process."""
        overdue = time.monotonic() - self.last_save > 60.0 * self.run.site.checkpoint_minutes
        due, *signals = self.run.group.any([overdue, *self.run.stop.flags])
        return first_raised(signals), due

    def stop_between(self, step: int, values: Mapping[str, Tensor]) -> str | None:
        """The signal to stop for after a step that is not logged, if any; asked as often as it has to be.

        Raises:
            Diverged: the loss or the gradient is not finite, and a checkpoint would keep that; or this step was sought.
        """
        signal = self.run.agreed_stop() if self.interval.is_over(step) else None
        if signal is not None or self.run.repetition.checks_every_step:
            self.check(step, self.means(values))
        return signal

    def saved(self) -> None:
        """Record that a checkpoint was written."""
        self.last_save = time.monotonic()

    def interruption(self, step: int, signal: str) -> Interrupted:
        """The exception to raise after the last save."""
        return Interrupted(f"stopped by {signal} at step {step} of {self.total}, saved", signal)
