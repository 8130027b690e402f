"""The speeds of a site's device, for its plans: of a pretraining step and of a frozen encoder."""

from collections.abc import Callable
from datetime import UTC, datetime

import torch

from caebench.bench import frozen
from caebench.bench.device import device_name
from caebench.bench.pretrain import build
from caebench.bench.settings import Settings
from caebench.bench.timing import interleave
from caebench.execution.provenance import commit
from caebench.specs.calibration import Calibration


def calibrate(settings: Settings, device: torch.device) -> Calibration:
    """Measure both speeds; FLOP are counted as in the plan, so the plan's hours match the measurement."""
    ours, batch = build(settings, device)
    things: dict[str, Callable[[], object]] = {
        "training": lambda: ours(batch),
        "frozen": frozen.forward(settings, device),
    }
    times = interleave(things, device, warm_up=settings.warm_up, repeats=settings.repeats)
    return Calibration(
        device=device_name(device),
        measured=datetime.now(UTC).date().isoformat(),
        training=settings.flops * settings.batch / times["training"].median,
        frozen=frozen.flops(settings) * settings.batch / times["frozen"].median,
        variant=settings.config.variant,
        batch=settings.batch,
        precision=settings.config.optimization.precision,
        commit=commit(),
    )
