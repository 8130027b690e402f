"""Speeds of a site's device, for its plans: a pretraining step's, and a frozen encoder's."""

from collections.abc import Callable
from datetime import UTC, datetime

import torch

from caebench.bench import frozen
from caebench.bench.device import device_name
from caebench.bench.pretrain import build
from caebench.bench.settings import Settings
from caebench.bench.timing import take_turns
from caebench.config.calibration import Calibration
from caebench.execution.provenance import git


def calibrate(settings: Settings, device: torch.device) -> Calibration:
    """Measure both; FLOP are the plan's count, so that its hours come out as measured."""
    ours, batch = build(settings, device)
    things: dict[str, Callable[[], object]] = {
        "training": lambda: ours(batch),
        "frozen": frozen.forward(settings, device),
    }
    times = take_turns(things, device, warm_up=settings.warm_up, repeats=settings.repeats)
    return Calibration(
        device=device_name(device),
        measured=datetime.now(UTC).date().isoformat(),
        training=settings.flops * settings.batch / times["training"].median,
        frozen=frozen.flops(settings) * settings.batch / times["frozen"].median,
        variant=settings.config.variant,
        batch=settings.batch,
        precision=settings.config.optimization.precision,
        commit=git("rev-parse", "HEAD"),
    )
