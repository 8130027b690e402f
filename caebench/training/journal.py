"""What a training loop says while it runs, and when it has to stop or save: one for every loop."""

import math
import time
from collections.abc import Mapping

import torch
from torch import Tensor

from caebench.config.stage import METRICS_FILE
from caebench.training.run import Run
from caebench.training.signals import SIGNALS, Interrupted, StopRequest


class Diverged(ArithmeticError):
    """A loss that is not finite."""


class Journal:
    """Lines of metrics, progress, and the clock of the checkpoints."""

    def __init__(self, run: Run, *, step: int, total: int, global_batch: int, lr_field: str) -> None:
        self.run, self.total, self.global_batch, self.lr_field = run, total, global_batch, lr_field
        self.logged_step = step
        self.last_log = self.last_save = time.monotonic()
        self.stopped_by: str | None = None  # the signal, whichever process heard it

    def log(self, step: int, values: Mapping[str, Tensor], **more: float) -> None:
        """Write a line with the means over processes, and show progress.

        Raises:
            Diverged: the loss is not finite.
        """
        stacked = self.run.group.mean(torch.stack([value.detach().float() for value in values.values()]))
        shown = dict(zip(values, stacked.tolist(), strict=True))
        now = time.monotonic()
        speed = (step - self.logged_step) * self.global_batch / max(now - self.last_log, 1e-9)
        self.run.append_metrics(step=step, **more, images_per_second=round(speed, 2), **shown)
        self.run.progress(step, self.total, shown)
        self.logged_step, self.last_log = step, now
        if not math.isfinite(shown["loss"]):
            raise Diverged(
                f"{self.run.folder}: loss is {shown['loss']} at step {step} of {self.total}. "
                f"See {METRICS_FILE}; lower {self.lr_field} or use fp32, and run the suite again."
            )

    def decide(self, stop: StopRequest) -> tuple[bool, bool]:
        """Whether to stop and whether to save, the same in every process; a stop is always saved first."""
        overdue = time.monotonic() - self.last_save > 60.0 * self.run.site.checkpoint_minutes
        saving, *heard = self.run.group.any([overdue, *(stop.name == known.name for known in SIGNALS)])
        self.stopped_by = next((known.name for known, was_heard in zip(SIGNALS, heard, strict=True) if was_heard), None)
        return self.stopped_by is not None, self.stopped_by is not None or saving

    def saved(self) -> None:
        """A checkpoint is written."""
        self.last_save = time.monotonic()

    def interruption(self, step: int) -> Interrupted:
        """What to raise after the last save."""
        return Interrupted(f"stopped by {self.stopped_by} at step {step} of {self.total}, saved", self.stopped_by)
